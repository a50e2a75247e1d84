"""Taking turns by name: two calls about one thing are one after the other, others do not wait.

Who waits does so on the event loop, and keeps no thread from those whose turn it is.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field


@dataclass(slots=True)
class _Turn:
    """The lock of a name, and how many hold it or wait for it."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    users: int = 0


class Turns:
    """One lock for each name that somebody is at; taken from one event loop."""

    def __init__(self) -> None:
        self._turns: dict[str, _Turn] = {}

    @asynccontextmanager
    async def of(self, name: str) -> AsyncIterator[None]:
        """Keep others out who are at the same name, once those before have ended."""
        turn = self._turns.setdefault(name, _Turn())
        turn.users += 1
        try:
            async with turn.lock:
                yield
        finally:
            turn.users -= 1
            if not turn.users:
                del self._turns[name]

    def users(self, name: str) -> int:
        """Return how many are at a name, or wait to be; good from every thread."""
        turn = self._turns.get(name)
        return 0 if turn is None else turn.users
