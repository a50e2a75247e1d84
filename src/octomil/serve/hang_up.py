"""Noticing that a client hangs up while its request is worked on."""

import asyncio
from types import TracebackType
from typing import Self

from starlette.types import Receive

from octomil.serve.limits import ClientGoneError

_WATCH_AFTER_S = 0.02


class HangUp:
    """Ends the work inside the block with a `ClientGoneError` when the client hangs up.

    It begins to look after a moment only: a task to watch each of the many requests that are over
    by then would cost a tenth of them.

    Args:
        receive: the ASGI channel from the client, its body read.
    """

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._watcher: asyncio.Task[None] | None = None
        self._happened = False

    async def __aenter__(self) -> Self:
        work = asyncio.current_task()
        assert work is not None
        self._work = work
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(_WATCH_AFTER_S, self._begin)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._timer.cancel()
        if self._watcher is not None:
            self._watcher.cancel()
        if self._happened and isinstance(error, asyncio.CancelledError):
            self._work.uncancel()
            raise ClientGoneError from error

    def _begin(self) -> None:
        self._watcher = asyncio.create_task(self._watch())

    async def _watch(self) -> None:
        while True:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                self._happened = True
                self._work.cancel()
                return
