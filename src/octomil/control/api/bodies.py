"""How large a body may be, and how long it may take, whatever the route does with it.

All that is before anybody's key was looked at, so the bodies of all requests together are bounded,
too.
"""

from collections.abc import Callable

from starlette.types import ASGIApp, Receive, Scope, Send

from octomil.asgi.headers import headers_of
from octomil.control.api.failures import address_of
from octomil.control.api.problems import send_problem
from octomil.control.api.requests import (
    BodyTooLargeError,
    BodyTooSlowError,
    read_whole_body,
    replayed,
)
from octomil.control.body_memory import BodyMemory, NoMemoryLeftError, NoShareLeftError
from octomil.errors import PayloadTooLargeError, RequestTimedOutError, ServiceUnavailableError

MAX_BODY_BYTES = 1024 * 1024
BODY_TIMEOUT_S = 30.0
_RETRY_AFTER_S = 1


class BodyLimits:
    """Reads bodies whole before the application sees the request.

    Args:
        app: what answers.
        memory: what the bodies that are here take, until they were answered.
        is_streamed: whether a request's route reads the body piece by piece itself, with limits of
            its own.
        max_bytes: what a body may have.
        timeout_s: how long it may take to arrive.
    """

    def __init__(
        self,
        app: ASGIApp,
        memory: BodyMemory,
        *,
        is_streamed: Callable[[Scope], bool] = lambda _scope: False,
        max_bytes: int = MAX_BODY_BYTES,
        timeout_s: float = BODY_TIMEOUT_S,
    ) -> None:
        self._app = app
        self._memory = memory
        self._is_streamed = is_streamed
        self._max_bytes = max_bytes
        self._timeout_s = timeout_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer 413, 408 or 503."""
        if scope["type"] != "http" or not _has_body(scope) or self._is_streamed(scope):
            await self._app(scope, receive, send)
            return
        try:
            with self._memory.share(address_of(scope)) as hold:
                body = await read_whole_body(
                    scope, receive, hold, max_bytes=self._max_bytes, timeout_s=self._timeout_s
                )
                if body is not None:
                    await self._app(scope, replayed(body, receive), send)
        except BodyTooLargeError:
            message = f"the body is larger than {self._max_bytes / 2**20:g} MiB"
            await send_problem(scope, send, PayloadTooLargeError(message), close=True)
        except BodyTooSlowError:
            message = f"the body did not arrive within {self._timeout_s:g} s"
            await send_problem(scope, send, RequestTimedOutError(message), close=True)
        except NoMemoryLeftError as error:
            unavailable = ServiceUnavailableError(
                _told_of(error), {"retry_after_s": _RETRY_AFTER_S}
            )
            await send_problem(scope, send, unavailable, close=True)


def _told_of(error: NoMemoryLeftError) -> str:
    """Return what a client is told whose body there is no room for."""
    if isinstance(error, NoShareLeftError):
        return (
            "the bodies of your address's other requests take all the memory that there is for "
            "them; try again in a second. Behind a proxy that is not named all clients are one "
            "address: see --trusted-proxy"
        )
    return (
        "the bodies of other requests take all the memory that there is for them; try again in a "
        "second"
    )


def _has_body(scope: Scope) -> bool:
    headers = headers_of(scope)
    return b"content-length" in headers or b"transfer-encoding" in headers
