"""Noticing that a client dawdles over its request, or hangs up while it is worked on."""

import asyncio
from types import TracebackType
from typing import Self

from starlette.types import Receive, Scope

from octomil.serve.limits import BODY_TIMEOUT_S, ClientGoneError, read_body, too_slow

_LOOK_AFTER_S = 0.02


class ClientWatch:
    """Ends the work inside the block when the client is too slow to ask, or no longer there.

    It begins to look after a moment only: a deadline for the body and a task that watches the
    connection would cost each of the many requests that are over by then a tenth of their CPU.

    Args:
        scope: the request's ASGI scope.
        receive: the ASGI channel from the client.
        body_timeout_s: seconds the body may take to arrive.

    Raises:
        HttpError: 408, the body did not arrive in time.
        ClientGoneError: the client hung up.
    """

    def __init__(
        self, scope: Scope, receive: Receive, *, body_timeout_s: float = BODY_TIMEOUT_S
    ) -> None:
        self._scope = scope
        self._receive = receive
        self._body_timeout_s = body_timeout_s
        self._has_body = False
        self._watcher: asyncio.Task[None] | None = None
        self._verdict: Exception | None = None

    async def __aenter__(self) -> Self:
        work = asyncio.current_task()
        assert work is not None
        self._work = work
        self._loop = asyncio.get_running_loop()
        self._began = self._loop.time()
        self._timer = self._loop.call_later(_LOOK_AFTER_S, self._look)
        return self

    async def body(self) -> bytes:
        """Read the request's body, as long as it is small enough.

        Raises:
            HttpError: 413, it is too large.
            ClientGoneError: the client hung up before its end.
        """
        body = await read_body(self._scope, self._receive)
        self._has_body = True
        if self._loop.time() - self._began > _LOOK_AFTER_S:  # the deadline is no longer needed
            self._timer.cancel()
            self._look()
        return body

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._timer.cancel()
        if self._watcher is not None:
            self._watcher.cancel()
        if self._verdict is not None and isinstance(error, asyncio.CancelledError):
            self._work.uncancel()
            raise self._verdict from error

    def _look(self) -> None:
        if self._has_body:
            self._watcher = self._loop.create_task(self._watch())
        else:
            left_s = self._began + self._body_timeout_s - self._loop.time()
            self._timer = self._loop.call_later(left_s, self._end, too_slow(self._body_timeout_s))

    async def _watch(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self._end(ClientGoneError())

    def _end(self, verdict: Exception) -> None:
        self._verdict = verdict
        self._work.cancel()
