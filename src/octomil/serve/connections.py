"""How a node tells, in OpenAI's form, of what never became a request."""

from octomil.asgi.connections import BadHead
from octomil.serve.errors import HttpError, error_answer


def refusal_body(why: BadHead, message: str) -> bytes:
    """Return the body of an answer to what is no request."""
    return error_answer(_error(why, message)).body


def _error(why: BadHead, message: str) -> HttpError:
    match why:
        case BadHead.INVALID_HTTP:
            return HttpError(400, message, code="invalid_http")
        case BadHead.TOO_SLOW:
            return HttpError(408, message, code="request_timeout")
        case BadHead.TOO_LARGE:
            return HttpError(431, message, code="request_headers_too_large")
