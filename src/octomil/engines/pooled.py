"""One engine of the pool: how it fares, who uses it, and which release it holds."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import Context
from dataclasses import dataclass, field
from enum import StrEnum

from octomil.engines.base import Engine


class EngineState(StrEnum):
    """Where an engine is in its life."""

    WAITING = "waiting"
    LOADING = "loading"
    READY = "ready"
    RESTARTING = "restarting"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldRelease:
    """The released version whose file an engine holds open.

    Attributes:
        model_id: the model's, at the control plane.
        version: its number.
        digest: of its manifest, `sha256:` and 64 hexadecimal digits.
        require_whole: reads every byte of its files, and raises `DigestMismatchError` where one is
            not what the manifest says; blocks meanwhile.
    """

    model_id: str
    version: str
    digest: str
    require_whole: Callable[[], None]


@dataclass(slots=True)
class PooledEngine:
    """An engine and how it fares.

    Attributes:
        engine: the engine itself.
        lazy: loaded by its first request instead of at start.
        release: what it is made from, if that was released; checked before each load.
        detail: the last thing it said while loading, or why it failed.
        restarts: how often it, or the one before it under its name, died and was brought back.
        retry_after_s: when a request that finds it restarting should come back.
        memory_bytes: what it is estimated to take while it is loaded.
        is_resident: whether it holds that memory, or is about to.
        used_at_s: when it was last of use, on the event loop's clock.
        unloading: frees its memory once nobody uses it; None while nothing does.
    """

    engine: Engine
    lazy: bool = False
    release: HeldRelease | None = None
    memory_bytes: int = 0
    state: EngineState = EngineState.WAITING
    detail: str = ""
    restarts: int = 0
    retry_after_s: float = 1.0
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    supervisor: asyncio.Task[None] | None = None
    is_resident: bool = False
    used_at_s: float = 0.0
    unloading: asyncio.Task[None] | None = None
    _users: int = 0
    _unused: asyncio.Event = field(default_factory=asyncio.Event)
    _waiters: int = 0
    _unawaited: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def should_be_up(self) -> bool:
        """Whether it is a fault if it is not ready: a lazy engine may not have been needed yet."""
        return not self.lazy or self.state not in (EngineState.WAITING, EngineState.LOADING)

    def become(self, state: EngineState, detail: str = "") -> None:
        """Change the state, and tell whoever waits for that."""
        self.state, self.detail = state, detail
        self.changed.set()
        self.changed = asyncio.Event()

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """Keep the engine from being closed until the block ends."""
        self._users += 1
        try:
            yield
        finally:
            self._users -= 1
            self.touch()
            if not self._users:
                self._unused.set()

    @property
    def is_in_use(self) -> bool:
        """Whether somebody uses it."""
        return self._users > 0

    def touch(self) -> None:
        """Note that it is of use now."""
        self.used_at_s = asyncio.get_running_loop().time()

    async def unused(self) -> None:
        """Return once nobody uses it, which holds only where nobody new can come to it."""
        while self._users:
            self._unused.clear()
            await self._unused.wait()

    @contextmanager
    def awaited(self) -> Iterator[None]:
        """Keep the engine from being unloaded before whoever waits for it could begin to use it."""
        self._waiters += 1
        try:
            yield
        finally:
            self._waiters -= 1
            if not self._waiters:
                self._unawaited.set()

    @property
    def is_awaited(self) -> bool:
        """Whether somebody waits for it to be ready."""
        return self._waiters > 0

    async def unawaited(self) -> None:
        """Return once nobody waits for it to be ready."""
        while self._waiters:
            self._unawaited.clear()
            await self._unawaited.wait()

    def unload(self, failed: Callable[[Exception], object]) -> asyncio.Task[None]:
        """Let nobody new come to it, and free its memory once nobody uses it any more.

        Args:
            failed: told if the engine does not close cleanly, which is nobody's fault who waits for
                the room: the task that is returned does not fail, and the engine can be loaded
                again.
        """
        self.become(EngineState.WAITING)
        supervisor, self.supervisor = self.supervisor, None

        async def close() -> None:
            await end(supervisor)
            await self.unused()
            try:
                await self.engine.close()
            except Exception as error:  # noqa: BLE001 - told, and others need the room
                failed(error)
            finally:
                self.is_resident, self.unloading = False, None

        self.unloading = asyncio.create_task(close(), name="unload", context=Context())
        return self.unloading

    async def end_supervision(self) -> None:
        """Watch over it no more."""
        await end(self.supervisor)


async def end(task: asyncio.Task[None] | None) -> None:
    """Cancel a task, if there is one, and wait until it has ended."""
    if task is not None:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
