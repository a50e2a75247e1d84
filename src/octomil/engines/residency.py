"""Which lazy engines stay in memory: within a budget, and not for ever."""

import asyncio
from collections.abc import Callable, Iterator, Mapping
from contextvars import Context

from octomil.engines.pooled import EngineState, PooledEngine, end
from octomil.errors import InsufficientSpaceError


class Residency:
    """Makes room for engines that are to be loaded, by unloading lazy ones.

    Who needs room stands in a line: what a large engine waits for is not taken by small ones that
    came later. One that has died goes first, one that is idle before one that is in use, and the
    least recently used before the others; one in use ends first what it has begun.

    Args:
        entries: all engines, by name; they come and go.
        report: called with one line for people when an engine is unloaded.
        budget_bytes: what all together may take; None for no limit.
        idle_s: seconds without use after which a lazy engine is unloaded; None for never.
    """

    def __init__(
        self,
        entries: Mapping[str, PooledEngine],
        report: Callable[[str], None],
        *,
        budget_bytes: int | None = None,
        idle_s: float | None = None,
    ) -> None:
        self._entries = entries
        self._report = report
        self._budget_bytes = budget_bytes
        self._idle_s = idle_s
        self._line = asyncio.Lock()
        self._sweeper: asyncio.Task[None] | None = None

    async def admit(self, name: str, entry: PooledEngine) -> None:
        """Wait until there is room for an engine; from then on it is its own.

        Engines that are not lazy have their room from the first.

        Raises:
            InsufficientSpaceError: there never can be.
        """
        if not entry.lazy:
            return
        async with self._line:
            if entry.unloading is not None:
                await asyncio.shield(entry.unloading)
            self.require_possible(name, entry.memory_bytes)
            while (found := self._in_the_way(entry)) is not None:
                other_name, other = found
                if other.unloading is not None:
                    await asyncio.shield(other.unloading)
                elif other.is_awaited:  # whoever loads it shall have used it once
                    await other.unawaited()
                else:
                    await self._unload(other_name, other, f"{name!r} needs the room")
            entry.is_resident = True
            entry.touch()
        if self._idle_s is not None and self._sweeper is None:
            sweeping = self._unload_idle(self._idle_s)
            self._sweeper = asyncio.create_task(sweeping, name="unload idle", context=Context())

    async def close(self) -> None:
        """Unload nothing any more."""
        await end(self._sweeper)
        for entry in list(self._entries.values()):
            await end(entry.unloading)

    def _lazy(self) -> Iterator[tuple[str, PooledEngine]]:
        return ((name, entry) for name, entry in self._entries.items() if entry.lazy)

    def _residents(self) -> list[tuple[str, PooledEngine]]:
        return [(name, entry) for name, entry in self._lazy() if entry.is_resident]

    def _always_taken_bytes(self) -> int:
        entries = list(self._entries.values())  # others may come meanwhile, in another thread
        return sum(entry.memory_bytes for entry in entries if not entry.lazy)

    def require_possible(self, name: str, memory_bytes: int) -> None:
        """Check that a lazy engine would fit if no other were loaded.

        Raises:
            InsufficientSpaceError: it would not.
        """
        if self._budget_bytes is None:
            return
        room = max(0, self._budget_bytes - self._always_taken_bytes())
        if memory_bytes > room:
            needed, left = (f"{size / 2**20:,.0f} MiB" for size in (memory_bytes, room))
            raise InsufficientSpaceError(
                f"model {name!r} is estimated to need {needed} of memory, and there are {left} for "
                "models that are loaded on demand; ask for a smaller one, or give them more"
            )

    def _in_the_way(self, entry: PooledEngine) -> tuple[str, PooledEngine] | None:
        """Return what is to be unloaded next for an engine's sake; None once there is room."""
        if self._budget_bytes is None:
            return None
        others = [(name, other) for name, other in self._residents() if other is not entry]
        taken = self._always_taken_bytes() + sum(other.memory_bytes for _, other in others)
        if taken + entry.memory_bytes <= self._budget_bytes:
            return None
        return min(others, key=lambda found: _worth(found[1]))

    async def _unload_idle(self, idle_s: float) -> None:
        """Unload, again and again, what nobody used for `idle_s` seconds."""
        now = asyncio.get_running_loop().time
        while True:
            idle = [entry for _, entry in self._residents() if _is_idle(entry)]
            due_s = min((entry.used_at_s for entry in idle), default=now()) + idle_s
            await asyncio.sleep(max(0.0, due_s - now()))
            async with self._line:
                for name, entry in self._residents():
                    if _is_idle(entry) and now() >= entry.used_at_s + idle_s:
                        await self._unload(name, entry, f"not used for {idle_s:g} s")

    async def _unload(self, name: str, entry: PooledEngine, why: str) -> None:
        self._report(f"model {name!r} is unloaded: {why}")
        told = f"model {name!r} did not close cleanly"
        await asyncio.shield(entry.unload(lambda error: self._report(f"{told}: {error!r}")))


def _worth(entry: PooledEngine) -> tuple[bool, bool, bool, float]:
    has_died = entry.state is EngineState.RESTARTING
    return (not has_died, entry.is_awaited, entry.is_in_use, entry.used_at_s)


def _is_idle(entry: PooledEngine) -> bool:
    """Whether nobody needs a loaded engine, so that it can be unloaded at once."""
    return not (entry.is_in_use or entry.is_awaited) and entry.unloading is None
