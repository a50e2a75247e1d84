"""Every error Octomil raises on purpose, as one tree.

```
OctomilError
├ ConfigurationError (ValueError)       a setting, flag or variable makes no sense
├ MissingDependencyError (ImportError)  an optional package is needed; the message names it
├ ModelError
│ ├ UnknownModelError (LookupError)     no model of that name; the nearest are suggested
│ ├ ModelUnavailableError               its files, or answers of it, cannot be had now
│ ├ ModelUnsuitedError                  it is of another kind than what was asked of it
│ ├ DigestMismatchError                 what arrived is not what was promised
│ ├ InvalidModelFileError               the file is not what its name says
│ └ InsufficientSpaceError (OSError)    disk or memory is too small
├ QueueError
│ ├ QueueFullError                      too many requests wait already
│ └ QueueTimeoutError (TimeoutError)    the request waited too long for its turn
├ RoutingError
│ └ NoModelAvailableError               no model can take this request
├ EngineError
│ ├ NoEngineError                       no engine here can run the model
│ ├ EngineUnavailableError              the engine is loading, restarting or unreachable
│ │ ├ EngineUnreachableError            nobody takes a connection where it should be
│ │ └ SpendCapReachedError              asking it could cost more than may be spent today
│ ├ EngineCrashedError                  the engine died while it worked on this request
│ ├ InvalidRequestError                 the engine refuses the request as it is
│ │ └ ContextLengthError                the prompt does not fit the model's context
│ └ GenerationError                     the engine failed while generating
│   └ EngineRefusedError                its server says itself that it failed
├ DataFolderError                       the control plane's folder cannot be used
└ OctomilClientError                    a call to the control plane did not succeed
  ├ ServerUnreachableError (ConnectionError)  nobody answers where it should be
  ├ UnexpectedAnswerError               somebody answers, but not as a control plane does
  ├ AnswerTimeoutError (TimeoutError)   the answer, or its next token, did not come in time
  ├ TruncatedStreamError                a stream of tokens broke off before its end
  └ ApiError                            the control plane refuses; `code` and `status` say how
    ├ BadRequestError, UnauthorizedError, ForbiddenError, NotFoundError, MethodNotAllowedError,
    ├ RequestTimedOutError, ConflictError, PayloadTooLargeError, UnsupportedMediaError,
    ├ RangeNotSatisfiableError, UnprocessableError, IdempotencyKeyReusedError,
    ├ RateLimitedError, HeadersTooLargeError, InternalError, NotImplementedYetError
    └ ServiceUnavailableError           one class for each row of `API_ERRORS`
```

Messages name the value at fault and the next step.
"""

from collections.abc import Mapping
from typing import Any, ClassVar


class OctomilError(Exception):
    """Base class of every error Octomil raises on purpose."""


class ConfigurationError(OctomilError, ValueError):
    """A setting, a flag or an environment variable makes no sense."""


class MissingDependencyError(OctomilError, ImportError):
    """An optional package is needed for what was asked."""


class ModelError(OctomilError):
    """A model cannot be named, fetched, verified or stored."""


class UnknownModelError(ModelError, LookupError):
    """No model has that name."""


class ModelUnavailableError(ModelError):
    """The model is known, but its files, or answers of it, cannot be had now.

    Attributes:
        retry_after_s: seconds after which another try makes sense; None where nobody said so.
    """

    def __init__(self, message: str, *, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class ModelUnsuitedError(ModelError):
    """The model is there, and of another kind than what was asked of it."""


class DigestMismatchError(ModelError):
    """The bytes that arrived do not have the digest that was promised."""


class InvalidModelFileError(ModelError):
    """A file is not the kind of model its name says, or is damaged."""


class InsufficientSpaceError(ModelError, OSError):
    """The disk or the memory is too small for the model."""


class QueueError(OctomilError):
    """A request could not get its turn."""


class QueueFullError(QueueError):
    """Too many requests are waiting already."""


class QueueTimeoutError(QueueError, TimeoutError):
    """The request waited too long for its turn; it was never started."""


class RoutingError(OctomilError):
    """No routing decision could be made."""


class NoModelAvailableError(RoutingError):
    """None of the models at hand can take this request."""


class EngineError(OctomilError):
    """An engine could not do what was asked."""


class NoEngineError(EngineError):
    """No engine here can run the model, or the one that was asked for cannot."""


class EngineUnavailableError(EngineError):
    """The engine cannot take requests now.

    Attributes:
        retry_after_s: seconds after which another try makes sense.
    """

    def __init__(self, message: str, *, retry_after_s: float = 1.0) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class EngineUnreachableError(EngineUnavailableError):
    """Nobody takes a connection where the engine's server should be."""


class EngineAbsentError(EngineUnreachableError):
    """Nobody takes a connection where a server may be that nobody said is there."""


class SpendCapReachedError(EngineUnavailableError):
    """Asking the model could cost more than may still be spent today."""


class EngineCrashedError(EngineError):
    """The engine's process died while it worked on this request."""


class InvalidRequestError(EngineError):
    """The engine refuses the request as it is.

    Attributes:
        param: the request's field at fault, where one is known.
        code: the OpenAI error code, where one fits.
        status: the HTTP status that fits the refusal.
    """

    def __init__(
        self,
        message: str,
        *,
        param: str | None = None,
        code: str | None = None,
        status: int = 400,
    ) -> None:
        super().__init__(message)
        self.param = param
        self.code = code
        self.status = status


class ContextLengthError(InvalidRequestError):
    """The prompt does not fit the model's context."""

    def __init__(self, message: str) -> None:
        super().__init__(message, param="messages", code="context_length_exceeded")


class GenerationError(EngineError):
    """The engine failed while it generated."""


class EngineRefusedError(GenerationError):
    """The engine's server says itself that it failed, so that nobody pays for the prompt."""


class DataFolderError(OctomilError):
    """The folder that the control plane keeps everything in cannot be used."""


class OctomilClientError(OctomilError):
    """A call to the control plane did not succeed.

    Attributes:
        request_id: what to ask the operator about; None where no request is known to have arrived.
    """

    request_id: str | None = None


class ServerUnreachableError(OctomilClientError, ConnectionError):
    """Nobody answers where the control plane should be."""


class UnexpectedAnswerError(OctomilClientError):
    """Somebody answers, but not as a control plane does: a proxy, a page, another server."""


class AnswerTimeoutError(OctomilClientError, TimeoutError):
    """The answer, or the next token of it, did not come in time."""


class TruncatedStreamError(OctomilClientError):
    """A stream of tokens broke off before its end; what came of it is not the whole answer."""


class ApiError(OctomilClientError):
    """The control plane refuses a request; server and clients share these classes.

    Args:
        message: the value at fault and the next step.
        details: more about it, as JSON values.

    Attributes:
        code: what went wrong, for programs.
        status: the HTTP status that goes with the code.
    """

    code: ClassVar[str] = "internal_error"
    status: ClassVar[int] = 500

    def __init__(self, message: str, details: Mapping[str, Any] | None = None) -> None:
        super().__init__(message)
        self.details = dict(details or {})


class BadRequestError(ApiError):
    """The request makes no sense as it is."""

    code, status = "bad_request", 400


class UnauthorizedError(ApiError):
    """A valid key or token is needed."""

    code, status = "unauthorized", 401


class ForbiddenError(ApiError):
    """The key or token is valid, and not for this."""

    code, status = "forbidden", 403


class NotFoundError(ApiError):
    """There is no such thing, or not for this organisation."""

    code, status = "not_found", 404


class MethodNotAllowedError(ApiError):
    """The path does not take that method."""

    code, status = "method_not_allowed", 405


class RequestTimedOutError(ApiError):
    """The request did not arrive in time."""

    code, status = "request_timeout", 408


class ConflictError(ApiError):
    """It contradicts what is there already."""

    code, status = "conflict", 409


class PayloadTooLargeError(ApiError):
    """The body is larger than what is taken."""

    code, status = "payload_too_large", 413


class UnsupportedMediaError(ApiError):
    """The body is of a kind that is not taken."""

    code, status = "unsupported_media_type", 415


class RangeNotSatisfiableError(ApiError):
    """The part that was asked for lies outside of the content."""

    code, status = "range_not_satisfiable", 416


class UnprocessableError(ApiError):
    """The body can be read, and a value in it makes no sense; `details["fields"]` names it."""

    code, status = "unprocessable", 422


class IdempotencyKeyReusedError(ApiError):
    """The idempotency key was used for another request."""

    code, status = "idempotency_key_reused", 422


class HeadersTooLargeError(ApiError):
    """The request line and headers are larger than what is taken."""

    code, status = "headers_too_large", 431


class RateLimitedError(ApiError):
    """Too many requests; `details["retry_after_s"]` says when to come back."""

    code, status = "rate_limited", 429


class InternalError(ApiError):
    """A fault of the server's, whose cause only its log tells."""

    code, status = "internal_error", 500


class NotImplementedYetError(ApiError):
    """The call is known and not served here."""

    code, status = "not_implemented", 501


class ServiceUnavailableError(ApiError):
    """The server cannot answer now."""

    code, status = "service_unavailable", 503


API_ERRORS: Mapping[str, type[ApiError]] = {
    kind.code: kind
    for kind in (
        BadRequestError,
        UnauthorizedError,
        ForbiddenError,
        NotFoundError,
        MethodNotAllowedError,
        RequestTimedOutError,
        ConflictError,
        PayloadTooLargeError,
        UnsupportedMediaError,
        RangeNotSatisfiableError,
        UnprocessableError,
        IdempotencyKeyReusedError,
        RateLimitedError,
        HeadersTooLargeError,
        InternalError,
        NotImplementedYetError,
        ServiceUnavailableError,
    )
}
"""Error code to class, and so to HTTP status: the API renders it, clients rebuild the class."""

API_STATUSES: Mapping[int, type[ApiError]] = {
    kind.status: kind for kind in reversed(tuple(API_ERRORS.values()))
}
"""HTTP status to class; of two that share one, the more general, which is listed first."""
