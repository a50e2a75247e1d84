"""The one home of running engines: loads, watches and replaces them, revives those that die."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from contextvars import Context
from typing import Any

from octomil.engines.base import Engine
from octomil.engines.pooled import EngineState, HeldRelease, PooledEngine
from octomil.engines.residency import Residency
from octomil.errors import (
    EngineError,
    EngineUnavailableError,
    InsufficientSpaceError,
    OctomilError,
    UnknownModelError,
)

_FIRST_DELAY_S = 0.5
_LONGEST_DELAY_S = 30.0
_HEALTHY_AFTER_S = 60.0
_BUSY_TIMEOUT_S = 1.0


class EnginePool:
    """Running engines by name.

    Args:
        report: called with one line for people when an engine's life takes a turn.
        first_delay_s: seconds before the first restart; each further one waits twice as long.
        budget_bytes: what all engines together may take; lazy ones are unloaded for one another's
            sake, least recently used first. None for no limit.
        idle_s: seconds without use after which a lazy engine is unloaded; None for never.
    """

    def __init__(
        self,
        report: Callable[[str], None],
        *,
        first_delay_s: float = _FIRST_DELAY_S,
        budget_bytes: int | None = None,
        idle_s: float | None = None,
    ) -> None:
        self._report = report
        self._first_delay_s = first_delay_s
        self._entries: dict[str, PooledEngine] = {}
        self._residency = Residency(self._entries, report, budget_bytes=budget_bytes, idle_s=idle_s)
        self._when_ready: list[Callable[[str], None]] = []
        self._swapping = asyncio.Lock()
        self._retiring: dict[asyncio.Task[None], PooledEngine] = {}

    def add(
        self,
        name: str,
        engine: Engine,
        *,
        lazy: bool = False,
        release: HeldRelease | None = None,
        memory_bytes: int = 0,
    ) -> None:
        """Add an engine under `name`; `start` or the first request will load it.

        Args:
            name: what it is asked for by.
            engine: not loaded yet.
            lazy: whether its first request loads it, and it may be unloaded again.
            release: what it is made from, if that was released.
            memory_bytes: what it is estimated to take while it is loaded.
        """
        self._entries[name] = PooledEngine(engine, lazy, release, memory_bytes)

    def require_room(self, name: str, memory_bytes: int) -> None:
        """Check that an engine could be loaded, whatever lazy ones were unloaded for it.

        May be called from another thread.

        Raises:
            InsufficientSpaceError: it could not.
        """
        self._residency.require_possible(name, memory_bytes)

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

    def releases(self) -> list[HeldRelease]:
        """Return what engines are made from, those included that have been replaced and go on.

        May be called from another thread.
        """
        entries = [*self._entries.values(), *list(self._retiring.values())]
        return [entry.release for entry in entries if entry.release is not None]

    async def start(
        self,
        loaded: Callable[[str, Engine], object] | None = None,
        instead: Callable[[str, OctomilError], Awaitable[object]] | None = None,
    ) -> None:
        """Load every engine that is not lazy, one after the other.

        One after the other, because two models that load together only slow each other down.

        Args:
            loaded: called after each engine is ready; awaited if it returns an awaitable.
            instead: awaited with an engine's name and why it cannot be loaded, or `loaded` failed;
                it swaps another one in, or raises.

        Raises:
            OctomilError: an engine cannot be loaded.
        """
        for name in [name for name, entry in self._entries.items() if not entry.lazy]:
            try:
                await self._start(name, loaded)
            except OctomilError as error:
                if instead is None:
                    raise
                await instead(name, error)
                await self._start(name, loaded)

    async def _start(self, name: str, loaded: Callable[[str, Engine], object] | None) -> None:
        engine = await self.ready(name)
        result = loaded(name, engine) if loaded else None
        if asyncio.iscoroutine(result):
            await result

    @contextmanager
    def using(self, name: str) -> Iterator[PooledEngine]:
        """Yield a ready engine that stays open until the block ends, even if it is replaced.

        Raises what `engine` raises.
        """
        self.engine(name)
        entry = self._entries[name]
        with entry.in_use():
            yield entry

    @asynccontextmanager
    async def loaded(self, name: str) -> AsyncIterator[PooledEngine]:
        """Load an engine if need be, and yield it; it stays open until the block ends.

        Raises what `ready` raises.
        """
        await self.ready(name)
        with self.using(name) as entry:  # nothing was awaited since, so it is ready still
            yield entry

    def engine(self, name: str) -> Engine:
        """Return a ready engine, without waiting; to work with it, see `using`.

        Raises:
            UnknownModelError: no such engine.
            EngineUnavailableError: it is not ready; `retry_after_s` says when to come back.
        """
        entry = self[name]
        if entry.state is not EngineState.READY:
            raise _not_ready(name, entry)
        return entry.engine

    async def ready(self, name: str) -> Engine:
        """Load the engine if need be, and return it once it is ready.

        Raises:
            InsufficientSpaceError: it does not fit into the budget, whatever else is unloaded.
            EngineUnavailableError: it is lazy, has died and is being brought back: nobody waits for
                that, since what is waited for keeps its room from the others.
            OctomilError: its first load failed; a later call tries again.
        """
        entry = self[name]
        if entry.supervisor is None or entry.supervisor.done():
            entry.supervisor = self._begin(name, self._supervise(name, entry))
        while entry.state is not EngineState.READY:
            supervisor = entry.supervisor
            assert supervisor is not None  # nobody ends it while the engine is awaited
            if supervisor.done():
                supervisor.result()  # raises why the load failed
            if entry.lazy and entry.state is EngineState.RESTARTING:
                raise _not_ready(name, entry)
            with entry.awaited():
                changed = asyncio.ensure_future(entry.changed.wait())
                try:
                    await asyncio.wait({changed, supervisor}, return_when="FIRST_COMPLETED")
                finally:
                    changed.cancel()
            entry = self._entries[name]  # it may have been replaced
        return entry.engine

    async def busy(self, *, timeout_s: float = _BUSY_TIMEOUT_S) -> dict[str, int]:
        """Ask all ready engines at once how many requests they work on.

        Who does not say so within `timeout_s` seconds, or has just died, is left out.
        """
        ready = {n: e.engine for n, e in self._entries.items() if e.state is EngineState.READY}
        answers = await asyncio.gather(*(_busy(engine, timeout_s) for engine in ready.values()))
        told = zip(ready, answers, strict=True)
        return {name: requests for name, requests in told if requests is not None}

    async def swap(
        self,
        name: str,
        engine: Engine,
        prove: Callable[[PooledEngine, PooledEngine], Awaitable[object]],
        release: HeldRelease | None = None,
    ) -> None:
        """Put another engine in the place of one, without a moment in which there is none.

        It is loaded beside the old one and proved; whatever is asked from then on goes to it. The
        old one ends what it has begun, and is closed after that. One swap goes on at a time, so
        that memory has to hold no more than one new engine beside those that serve.

        Args:
            name: the old one's, and from then on the new one's.
            engine: the new one, not loaded yet.
            prove: is given the new entry, loaded, and the old one; raises where it is unfit.
            release: what the new one is made from.

        Raises:
            OctomilError: it does not load, or is unfit; the old one stays where it is.
        """
        async with self._swapping:
            old = self[name]
            new = PooledEngine(
                engine, old.lazy, release, old.memory_bytes, restarts=old.restarts, is_resident=True
            )
            try:
                await self._load(name, new)
                with _foreseen(name):
                    await prove(new, old)
            except BaseException:
                await engine.close()
                raise
            self._entries[name] = new
            self._announce(name, new)
            new.supervisor = self._begin(name, self._watch(name, new))
            self._retire(name, old)

    def _retire(self, name: str, old: PooledEngine) -> None:
        """Close an engine that has been replaced when nobody uses it any more."""
        old.become(EngineState.WAITING)  # whoever waits for it looks for its successor

        async def close() -> None:
            await old.end_supervision()
            await old.unused()
            await old.engine.close()

        task = asyncio.create_task(close(), name=f"retire {name}", context=Context())
        self._retiring[task] = old
        task.add_done_callback(self._retiring.pop)

    async def close(self) -> None:
        """End every engine."""
        await self._residency.close()
        retiring = dict(self._retiring)
        for task in retiring:
            task.cancel()
        entries = [*self._entries.values(), *retiring.values()]
        await asyncio.gather(*(e.end_supervision() for e in entries))
        await asyncio.gather(*retiring, return_exceptions=True)
        for entry in entries:
            await entry.engine.close()
            entry.become(EngineState.WAITING)

    def _begin(self, name: str, supervision: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Start to watch."""
        # It outlives the request that may have begun it, so it takes nothing of its context.
        return asyncio.create_task(supervision, name=f"supervise {name}", context=Context())

    async def _supervise(self, name: str, entry: PooledEngine) -> None:
        """Load, then watch."""
        entry.become(EngineState.LOADING)
        try:
            await self._residency.admit(name, entry)
        except InsufficientSpaceError:
            entry.become(EngineState.WAITING)  # it is whole, and this machine too small
            raise
        try:
            await self._load(name, entry)
        except OctomilError as error:
            entry.is_resident = False
            entry.become(EngineState.FAILED, str(error))
            raise
        self._announce(name, entry)
        await self._watch(name, entry)

    def _announce(self, name: str, entry: PooledEngine) -> None:
        entry.touch()
        entry.become(EngineState.READY)
        for listener in self._when_ready:
            listener(name)

    async def _watch(self, name: str, entry: PooledEngine) -> None:
        """Wait for a failure of a ready engine, and load it again with growing patience."""
        loop = asyncio.get_running_loop()
        delay_s = self._first_delay_s
        while True:
            ready_at = loop.time()
            reason = await entry.engine.failure()
            if loop.time() - ready_at > _HEALTHY_AFTER_S:
                delay_s = self._first_delay_s
            self._report(f"model {name!r} died: {reason}")
            delay_s = await self._bring_back(name, entry, delay_s)
            self._announce(name, entry)

    async def _bring_back(self, name: str, entry: PooledEngine, delay_s: float) -> float:
        """Restart a dead engine until it loads; return the delay for the next time."""
        while True:
            entry.restarts += 1
            entry.retry_after_s = delay_s + 1.0
            entry.become(EngineState.RESTARTING, f"again in {delay_s:g} s")
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
        with _foreseen(name):
            if entry.release is not None:
                await asyncio.to_thread(entry.release.require_whole)
            await entry.engine.load(lambda line: self._note(entry, line))

    def _note(self, entry: PooledEngine, line: str) -> None:
        entry.detail = line


def _not_ready(name: str, entry: PooledEngine) -> EngineUnavailableError:
    detail = f": {entry.detail}" if entry.detail else ""
    return EngineUnavailableError(
        f"model {name!r} is {entry.state}{detail}", retry_after_s=entry.retry_after_s
    )


@contextmanager
def _foreseen(name: str) -> Iterator[None]:
    """Make whatever goes wrong with an engine an error of Octomil's own."""
    try:
        yield
    except OctomilError:
        raise
    except Exception as error:
        reason = f"{type(error).__name__}: {error}"
        raise EngineError(f"model {name!r} could not be loaded: {reason}") from error


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
