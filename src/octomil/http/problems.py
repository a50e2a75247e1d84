"""Answers that tell of an error, made the typed errors again that the server raised."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from octomil.errors import (
    API_ERRORS,
    API_STATUSES,
    AnswerTimeoutError,
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
        error = error_of_problem(parse_json(answer.content), answer.status_code)
    except (ValueError, KeyError, TypeError):
        return unexpected(answer)
    error.request_id = error.request_id or request_id_of(answer)
    return error


def error_of_problem(problem: Any, status: int) -> ApiError:
    """Return the error that a problem, as JSON values, tells of.

    Raises:
        KeyError, TypeError: it is no problem.
    """
    code, message = str(problem["error"]), str(problem["message"])
    error = _kind(code, status)(message, _details(problem))
    error.request_id = problem.get("request_id")
    return error


def request_id_of(answer: "httpx.Response") -> str | None:
    """Return what the server calls the request that it answered."""
    found: str | None = answer.headers.get("X-Request-Id")
    return found


def unexpected(answer: "httpx.Response", body: bytes | None = None) -> UnexpectedAnswerError:
    """Return the error for an answer that no control plane gives.

    Args:
        answer: its body must have been read if `body` is None.
        body: what is shown of a body that is not read whole.
    """
    kind = answer.headers.get("content-type", "no content type")
    text = answer.text if body is None else body.decode("utf-8", "replace")
    shown = " ".join(text[:_SHOWN_CHARS].split())
    error = UnexpectedAnswerError(
        f"{answer.request.method} {answer.request.url} was answered {answer.status_code} with "
        f"{kind}, which is not how a control plane answers: {shown!r}; check OCTOMIL_API_BASE"
    )
    error.request_id = request_id_of(answer)
    return error


def unreachable(url: str, reason: str) -> ServerUnreachableError:
    """Return the error for a server that does not answer."""
    return ServerUnreachableError(
        f"no control plane answers at {url} ({reason}); start one with `octomil up`, or set "
        "OCTOMIL_API_BASE to where it is"
    )


def too_late(url: str, timeout_s: float) -> AnswerTimeoutError:
    """Return the error for a server that takes longer than it was given."""
    return AnswerTimeoutError(
        f"{url} did not give what was asked of it in {timeout_s:g} s; allow more by timeout=, or "
        "see how its backends are by GET /inference/health"
    )


def _kind(code: str, status: int) -> type[ApiError]:
    """Return the class of a code; of a newer server's code, the class of its status."""
    general = BadRequestError if status < InternalError.status else InternalError
    return API_ERRORS.get(code) or API_STATUSES.get(status, general)


def _details(problem: Mapping[str, Any]) -> Mapping[str, Any]:
    details = problem.get("details")
    return details if isinstance(details, dict) else {}
