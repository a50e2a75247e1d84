"""Errors as OpenAI's clients expect them: one table from exception to status, type and code."""

import math
from dataclasses import dataclass

import msgspec

from octomil.errors import (
    EngineCrashedError,
    EngineError,
    EngineUnavailableError,
    InsufficientSpaceError,
    InvalidRequestError,
    ModelError,
    ModelUnavailableError,
    NoModelAvailableError,
    OctomilError,
    QueueError,
    QueueFullError,
    QueueTimeoutError,
    SpendCapReachedError,
    UnknownModelError,
)

_encode = msgspec.json.Encoder().encode

_TABLE: tuple[tuple[type[OctomilError], int, str, str], ...] = (
    (UnknownModelError, 404, "invalid_request_error", "model_not_found"),
    (ModelUnavailableError, 503, "server_error", "model_unavailable"),
    (InsufficientSpaceError, 507, "server_error", "insufficient_space"),
    (ModelError, 500, "server_error", "model_unusable"),
    (NoModelAvailableError, 400, "invalid_request_error", "no_model_available"),
    (QueueFullError, 429, "rate_limit_error", "queue_full"),
    (QueueTimeoutError, 504, "timeout_error", "queue_timeout"),
    (QueueError, 503, "server_error", "shutting_down"),
    (SpendCapReachedError, 429, "insufficient_quota", "spend_cap_reached"),
    (EngineUnavailableError, 503, "server_error", "engine_unavailable"),
    (EngineCrashedError, 502, "server_error", "engine_crashed"),
    (EngineError, 502, "server_error", "generation_failed"),
    (OctomilError, 500, "server_error", "internal_error"),
)


@dataclass(frozen=True, slots=True)
class ErrorAnswer:
    """An error on its way to the client."""

    status: int
    code: str
    body: bytes
    headers: tuple[tuple[bytes, bytes], ...] = ()


class HttpError(OctomilError):
    """A request that is refused before any engine sees it."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        code: str,
        param: str | None = None,
        kind: str = "invalid_request_error",
        headers: tuple[tuple[bytes, bytes], ...] = (),
    ) -> None:
        super().__init__(message)
        self.status, self.code, self.param, self.kind = status, code, param, kind
        self.headers = headers


def unforeseen() -> HttpError:
    """Return the error for a fault of ours, whose cause only the log tells."""
    message = "the server failed on this request; its log says why"
    return HttpError(500, message, code="internal_error", kind="server_error")


def shutting_down() -> HttpError:
    """Return the error for a request that outlasts the time to drain."""
    message = "the server is shutting down"
    return HttpError(503, message, code="shutting_down", kind="server_error")


def error_answer(error: OctomilError, *, retry_after_s: float | None = None) -> ErrorAnswer:
    """Return status, code, body and headers for `error`.

    Args:
        error: what went wrong.
        retry_after_s: when the client should come back, for errors that do not say themselves.
    """
    if isinstance(error, HttpError):
        body = _body(str(error), error.kind, error.param, error.code)
        return ErrorAnswer(error.status, error.code, body, error.headers)
    if isinstance(error, InvalidRequestError):
        code = error.code or "invalid_request"
        body = _body(str(error), "invalid_request_error", error.param, code)
        return ErrorAnswer(error.status, code, body)
    status, kind, code = next(
        (status, kind, code) for cls, status, kind, code in _TABLE if isinstance(error, cls)
    )
    wait_s = error.retry_after_s if isinstance(error, EngineUnavailableError) else retry_after_s
    headers: tuple[tuple[bytes, bytes], ...] = ()
    if wait_s is not None and status in (429, 503, 504):
        headers = ((b"retry-after", str(max(1, math.ceil(wait_s))).encode()),)
    param = "model" if status == 404 else None
    return ErrorAnswer(status, code, _body(str(error), kind, param, code), headers)


def _body(message: str, kind: str, param: str | None, code: str | None) -> bytes:
    error = {"message": message, "type": kind, "param": param, "code": code}
    return _encode({"error": error})
