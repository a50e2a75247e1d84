"""One call at a time for all who ask for the same: who comes meanwhile waits for that one."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any


class SingleFlight:
    """Calls that are joined while one is under way; from one event loop."""

    def __init__(self) -> None:
        self._under_way: asyncio.Task[None] | None = None

    async def join(self, begin: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Return once a call has ended; who goes away before leaves it to the others.

        Args:
            begin: makes the call, if none is under way.

        Raises:
            Exception: what the call raised.
        """
        if self._under_way is None:
            self._under_way = asyncio.create_task(begin())
            self._under_way.add_done_callback(self._end)
        await asyncio.shield(self._under_way)

    def _end(self, call: "asyncio.Task[None]") -> None:
        self._under_way = None
        if not call.cancelled():
            call.exception()  # is no news, even if nobody waits for it any more
