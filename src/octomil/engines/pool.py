"""The one home of running engines: loads them, watches them, brings them back when they die."""

import asyncio
from collections.abc import Callable, Iterator, Mapping
from contextvars import Context
from dataclasses import dataclass, field
from enum import StrEnum

from octomil.engines.base import Engine
from octomil.errors import (
    EngineError,
    EngineUnavailableError,
    OctomilError,
    UnknownModelError,
)

_FIRST_DELAY_S = 0.5
_LONGEST_DELAY_S = 30.0
_HEALTHY_AFTER_S = 60.0
_BUSY_TIMEOUT_S = 1.0


class EngineState(StrEnum):
    """Where an engine is in its life."""

    WAITING = "waiting"
    LOADING = "loading"
    READY = "ready"
    RESTARTING = "restarting"
    FAILED = "failed"


@dataclass(slots=True)
class PooledEngine:
    """An engine and how it fares.

    Attributes:
        engine: the engine itself.
        lazy: loaded by its first request instead of at start.
        detail: the last thing it said while loading, or why it failed.
        restarts: how often it died and was brought back.
        retry_after_s: when a request that finds it restarting should come back.
    """

    engine: Engine
    lazy: bool = False
    state: EngineState = EngineState.WAITING
    detail: str = ""
    restarts: int = 0
    retry_after_s: float = 1.0
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    supervisor: asyncio.Task[None] | None = None

    @property
    def should_be_up(self) -> bool:
        """Whether it is a fault if it is not ready: a lazy engine may not have been needed yet."""
        return not self.lazy or self.state not in (EngineState.WAITING, EngineState.LOADING)


class EnginePool:
    """Running engines by name.

    Args:
        report: called with one line for people when an engine's life takes a turn.
        first_delay_s: seconds before the first restart; each further one waits twice as long.
    """

    def __init__(
        self, report: Callable[[str], None], *, first_delay_s: float = _FIRST_DELAY_S
    ) -> None:
        self._report = report
        self._first_delay_s = first_delay_s
        self._entries: dict[str, PooledEngine] = {}
        self._when_ready: list[Callable[[str], None]] = []

    def add(self, name: str, engine: Engine, *, lazy: bool = False) -> None:
        """Add an engine under `name`; `start` or the first request will load it."""
        self._entries[name] = PooledEngine(engine, lazy)

    def on_ready(self, listener: Callable[[str], None]) -> None:
        """Call `listener` with an engine's name each time it has been loaded."""
        self._when_ready.append(listener)

    def __iter__(self) -> Iterator[tuple[str, PooledEngine]]:
        """Iterate over names and engines in the order they were added."""
        return iter(self._entries.items())

    def __getitem__(self, name: str) -> PooledEngine:
        """Return the entry of that name.

        Raises:
            UnknownModelError: there is none.
        """
        try:
            return self._entries[name]
        except KeyError:
            known = ", ".join(self._entries)
            raise UnknownModelError(f"no engine runs model {name!r}; running: {known}") from None

    async def start(self, loaded: Callable[[str, Engine], object] | None = None) -> None:
        """Load every engine that is not lazy, one after the other.

        One after the other, because two models that load together only slow each other down.

        Args:
            loaded: called after each engine is ready; awaited if it returns an awaitable.

        Raises:
            OctomilError: an engine cannot be loaded.
        """
        for name, entry in self._entries.items():
            if not entry.lazy:
                await self.ready(name)
                result = loaded(name, entry.engine) if loaded else None
                if asyncio.iscoroutine(result):
                    await result

    def engine(self, name: str) -> Engine:
        """Return a ready engine, without waiting.

        Raises:
            UnknownModelError: no such engine.
            EngineUnavailableError: it is not ready; `retry_after_s` says when to come back.
        """
        entry = self[name]
        if entry.state is not EngineState.READY:
            raise EngineUnavailableError(
                f"model {name!r} is {entry.state}{': ' + entry.detail if entry.detail else ''}",
                retry_after_s=entry.retry_after_s,
            )
        return entry.engine

    async def ready(self, name: str) -> Engine:
        """Load the engine if need be, and return it once it is ready.

        Raises:
            OctomilError: its first load failed; a later call tries again.
        """
        entry = self[name]
        if entry.supervisor is None or entry.supervisor.done():
            # It outlives the request that may have begun it, so it takes nothing of its context.
            entry.supervisor = asyncio.create_task(
                self._supervise(name, entry), name=f"supervise {name}", context=Context()
            )
        while entry.state is not EngineState.READY:
            if entry.supervisor.done():
                entry.supervisor.result()  # raises why the load failed
            changed = asyncio.ensure_future(entry.changed.wait())
            await asyncio.wait({changed, entry.supervisor}, return_when="FIRST_COMPLETED")
            changed.cancel()
        return entry.engine

    async def busy(self, *, timeout_s: float = _BUSY_TIMEOUT_S) -> dict[str, int]:
        """Ask all ready engines at once how many requests they work on.

        Who does not say so within `timeout_s` seconds, or has just died, is left out.
        """
        ready = {n: e.engine for n, e in self._entries.items() if e.state is EngineState.READY}
        answers = await asyncio.gather(*(_busy(engine, timeout_s) for engine in ready.values()))
        told = zip(ready, answers, strict=True)
        return {name: requests for name, requests in told if requests is not None}

    async def close(self) -> None:
        """End every engine."""
        supervisors = [e.supervisor for e in self._entries.values() if e.supervisor]
        for supervisor in supervisors:
            supervisor.cancel()
        await asyncio.gather(*supervisors, return_exceptions=True)
        for entry in self._entries.values():
            await entry.engine.close()
            self._set(entry, EngineState.WAITING)

    async def _supervise(self, name: str, entry: PooledEngine) -> None:
        """Load, wait for a failure, and load again with growing patience."""
        loop = asyncio.get_running_loop()
        self._set(entry, EngineState.LOADING)
        try:
            await self._load(name, entry)
        except OctomilError as error:
            self._set(entry, EngineState.FAILED, str(error))
            raise
        delay_s = self._first_delay_s
        while True:
            self._set(entry, EngineState.READY)
            for listener in self._when_ready:
                listener(name)
            ready_at = loop.time()
            reason = await entry.engine.failure()
            if loop.time() - ready_at > _HEALTHY_AFTER_S:
                delay_s = self._first_delay_s
            self._report(f"model {name!r} died: {reason}")
            delay_s = await self._bring_back(name, entry, delay_s)

    async def _bring_back(self, name: str, entry: PooledEngine, delay_s: float) -> float:
        """Restart a dead engine until it loads; return the delay for the next time."""
        while True:
            entry.restarts += 1
            entry.retry_after_s = delay_s + 1.0
            self._set(entry, EngineState.RESTARTING, f"again in {delay_s:g} s")
            await asyncio.sleep(delay_s)
            delay_s = min(2 * delay_s, _LONGEST_DELAY_S)
            try:
                await self._load(name, entry)
            except OctomilError as error:
                self._report(f"model {name!r} did not come back: {error}")
            else:
                self._report(f"model {name!r} is back")
                return delay_s

    async def _load(self, name: str, entry: PooledEngine) -> None:
        """Load an engine.

        Raises:
            OctomilError: whatever went wrong, a full disk or a lost folder included: nothing else
                may end a supervisor.
        """
        try:
            await entry.engine.load(lambda line: self._note(entry, line))
        except OctomilError:
            raise
        except Exception as error:
            reason = f"{type(error).__name__}: {error}"
            raise EngineError(f"model {name!r} could not be loaded: {reason}") from error

    def _note(self, entry: PooledEngine, line: str) -> None:
        entry.detail = line

    def _set(self, entry: PooledEngine, state: EngineState, detail: str = "") -> None:
        entry.state, entry.detail = state, detail
        entry.changed.set()
        entry.changed = asyncio.Event()


async def _busy(engine: Engine, timeout_s: float) -> int | None:
    try:
        async with asyncio.timeout(timeout_s):
            return await engine.busy()
    except (EngineError, TimeoutError):
        return None


def thread_shares(models: int, cores: int, threads: int | None) -> int:
    """Return the CPU threads each local model gets.

    Threads of two models spin against one another, so the cores are divided, not shared.
    """
    return threads or max(1, cores // max(1, models))


def states(pool: EnginePool) -> Mapping[str, EngineState]:
    """Return the state of every engine that is loaded at start."""
    return {name: entry.state for name, entry in pool if not entry.lazy}
