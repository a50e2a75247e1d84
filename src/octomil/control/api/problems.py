"""Errors on their way to the client: one form for all of them."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

import msgspec
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Scope, Send

from epochly.inference.context.request import new_request_id
from octomil.asgi.connections import BadHead
from octomil.control.api.allowed import allowed_methods
from octomil.control.api.requests import request_id_of_scope
from octomil.control.disk_faults import FULL
from octomil.errors import (
    API_STATUSES,
    ApiError,
    BadRequestError,
    InsufficientSpaceError,
    InternalError,
    MethodNotAllowedError,
    NotFoundError,
    OctomilError,
    ServiceUnavailableError,
    UnauthorizedError,
)
from octomil.wire.known_fields import UnknownFieldsError
from octomil.wire.problems import Problem

_SHOWN_COMPLAINTS = 10

_log = logging.getLogger("octomil.control")
_encode = msgspec.json.Encoder().encode


def problem_response(
    scope: Scope, error: ApiError, headers: Mapping[str, str] | None = None
) -> Response:
    """Return the answer that tells of an error."""
    return Response(
        problem_body(error, request_id_of_scope(scope)),
        status_code=error.status,
        media_type="application/json",
        headers={**_headers(error), **(headers or {})},
    )


async def send_problem(scope: Scope, send: Send, error: ApiError, *, close: bool = False) -> None:
    """Answer with an error before the application was reached.

    Args:
        scope: the request's.
        send: the ASGI channel to the client.
        error: what is wrong.
        close: end the connection, because what follows on it cannot be trusted to be a request.
    """
    response = problem_response(scope, error, {"connection": "close"} if close else None)
    await response(scope, _nothing_more, send)


def no_request_body(why: BadHead, message: str) -> bytes:
    """Return the body of an answer to what never became a request."""
    return problem_body(API_STATUSES[why](message), new_request_id())


async def on_error(request: Request, error: Exception) -> Response:
    """Render whatever a route raised."""
    found = as_api_error(request, error)
    if found.status == 503 and found.__cause__ is not None:  # which is not for everybody's eyes
        name = request_id_of_scope(request.scope)
        _log.warning("request %s: %s: %s", name, found, found.__cause__)
    headers = {"allow": allowed_methods(request)} if found.status == 405 else None
    return problem_response(request.scope, found, headers)


def as_api_error(request: Request, error: Exception) -> ApiError:
    """Return the error of ours that says the same."""
    match error:
        case ApiError():
            return error
        case RequestValidationError() if is_undeclared(error):
            return BadRequestError(
                "the body is not said to be JSON; send `Content-Type: application/json` with it"
            )
        case RequestValidationError():
            return invalid(error.errors())
        case HTTPException(status_code=404):
            return NotFoundError(f"there is no {request.url.path} here")
        case HTTPException(status_code=405):
            return MethodNotAllowedError(f"{request.method} is not allowed on {request.url.path}")
        case HTTPException():
            return API_STATUSES.get(error.status_code, BadRequestError)(str(error.detail))
        case InsufficientSpaceError():
            return ServiceUnavailableError(f"{error}: {FULL}")
        case _:
            return InternalError("the server failed on this request; its log says why")


def invalid(
    complaints: Sequence[Mapping[str, Any]], kind: type[ApiError] = BadRequestError
) -> ApiError:
    """Make pydantic's complaints one message, and list them; what was sent is not repeated.

    A route and what it depends on may read the same body; what both complain of is said once.

    Args:
        complaints: about what was sent.
        kind: of error, for a body that can be read.
    """
    if complaints[0]["type"] == "json_invalid":
        return BadRequestError(f"the body is {complaints[0]['ctx']['error']}")
    told = dict.fromkeys(pair for each in complaints for pair in _told(each))
    listed = [
        {"field": field, "problem": problem} for field, problem in islice(told, _SHOWN_COMPLAINTS)
    ]
    first = listed[0]
    return kind(f"{first['field']}: {first['problem']}", {"fields": listed})


def is_undeclared(error: RequestValidationError) -> bool:
    """Tell whether a body was not read as JSON, for its `Content-Type` names something else."""
    return isinstance(error.body, bytes)


def _told(complaint: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield what a complaint is about: fields, and what is wrong with each."""
    where, cause = complaint["loc"], complaint.get("ctx", {}).get("error")
    if isinstance(cause, UnknownFieldsError):
        for name in cause.unknown:
            yield _field((*where, name)), cause.problem(name)
    else:
        yield _field(where), str(complaint["msg"])


def problem_body(error: ApiError, request_id: str) -> bytes:
    """Return what tells of an error, as JSON."""
    problem = Problem(
        error=error.code,
        message=str(error),
        status_code=error.status,
        request_id=request_id,
        details=error.details,
    )
    return _encode(problem)


def _field(location: Sequence[str | int]) -> str:
    """Return `body.metadata.0` as `metadata.0`, and the body itself as `the body`."""
    inner = location[1:] if location[:1] in (("body",), ("query",), ("path",)) else location
    return ".".join(map(str, inner)) or "the body"


def _headers(error: ApiError) -> dict[str, str]:
    if isinstance(error, UnauthorizedError):
        return {"www-authenticate": "Bearer"}
    wait_s = error.details.get("retry_after_s")
    return {"retry-after": str(wait_s)} if wait_s is not None else {}


async def _nothing_more() -> Any:
    return {"type": "http.disconnect"}


OURS: tuple[type[Exception], ...] = (OctomilError, RequestValidationError, HTTPException, Exception)
"""What `on_error` is to be registered for."""
