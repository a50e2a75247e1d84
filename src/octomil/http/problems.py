"""Answers that tell of an error, made the typed errors again that the server raised."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from octomil.errors import (
    API_ERRORS,
    API_STATUSES,
    ApiError,
    BadRequestError,
    InternalError,
    OctomilClientError,
    ServerUnreachableError,
    UnexpectedAnswerError,
)
from octomil.http.records import parse_json

if TYPE_CHECKING:
    import httpx

_SHOWN_CHARS = 200


def error_of_answer(answer: "httpx.Response") -> OctomilClientError:
    """Return the error that an answer from 400 up tells of; its body must have been read."""
    try:
        problem = parse_json(answer.content)
        code, message = str(problem["error"]), str(problem["message"])
    except (ValueError, KeyError, TypeError):
        return unexpected(answer)
    error = _kind(code, answer.status_code)(message, _details(problem))
    error.request_id = problem.get("request_id") or answer.headers.get("X-Request-Id")
    return error


def unexpected(answer: "httpx.Response") -> UnexpectedAnswerError:
    """Return the error for an answer that no control plane gives."""
    kind = answer.headers.get("content-type", "no content type")
    shown = " ".join(answer.text[:_SHOWN_CHARS].split())
    return UnexpectedAnswerError(
        f"{answer.request.method} {answer.request.url} was answered {answer.status_code} with "
        f"{kind}, which is not how a control plane answers: {shown!r}; check OCTOMIL_API_BASE"
    )


def unreachable(url: str, reason: str) -> ServerUnreachableError:
    """Return the error for a server that does not answer."""
    return ServerUnreachableError(
        f"no control plane answers at {url} ({reason}); start one with `octomil up`, or set "
        "OCTOMIL_API_BASE to where it is"
    )


def _kind(code: str, status: int) -> type[ApiError]:
    """Return the class of a code; of a newer server's code, the class of its status."""
    general = BadRequestError if status < InternalError.status else InternalError
    return API_ERRORS.get(code) or API_STATUSES.get(status, general)


def _details(problem: Mapping[str, Any]) -> Mapping[str, Any]:
    details = problem.get("details")
    return details if isinstance(details, dict) else {}
