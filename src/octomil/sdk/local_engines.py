"""The engines that run in a client: on one thread with a loop, shared by all who ask."""

import asyncio
import atexit
import logging
import weakref
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any, NamedTuple

from octomil.engines.base import (
    Capabilities,
    Embeddings,
    Engine,
    GenerationRequest,
    Timing,
    Usage,
)
from octomil.engines.loop_thread import LoopThread
from octomil.engines.pool import EnginePool
from octomil.engines.texts import texts_of
from octomil.errors import EngineUnavailableError, InvalidRequestError
from octomil.sdk.parameters import Query

_report = logging.getLogger("octomil.engines").warning


@dataclass(slots=True)
class Run:
    """One answer, while it is made and after.

    Attributes:
        asked_at: when it was asked for, in seconds on the clock of `time.perf_counter`.
        began_at: when the model was loaded, if it was not already, on the same clock.
        usage: complete at the end.
        ended_at: when its end had come, on the same clock.
        timing: of its pieces.
    """

    asked_at: float = field(default_factory=perf_counter)
    began_at: float = 0.0
    ended_at: float = 0.0
    usage: Usage = field(default_factory=Usage)
    timing: Timing = field(default_factory=Timing)


class Piece(NamedTuple):
    """A piece of an answer, and when it was made, in milliseconds since `Run.began_at`."""

    text: str
    at_ms: float


class LocalEngines:
    """Engines by key, loaded when they are first asked and unloaded where another needs the room.

    May be used by several threads; none may be the one that the engines run on.

    Args:
        budget_bytes: the memory that all of them may take together.
    """

    def __init__(self, budget_bytes: int) -> None:
        self.budget_bytes = budget_bytes
        self._pool = EnginePool(_report, budget_bytes=budget_bytes)
        self._turns: dict[str, asyncio.Semaphore] = {}
        self._running: set[asyncio.Task[Any]] = set()
        self._is_closing = False
        self._thread = LoopThread("octomil engines")
        weakref.finalize(self, _let_go, self._thread, self._pool).atexit = False
        _OPEN.add(self)

    def require_room(self, key: str, memory_bytes: int) -> None:
        """Check that a model could be loaded, whatever others were unloaded for it.

        Raises:
            InsufficientSpaceError: it could not.
        """
        self._pool.require_room(key, memory_bytes)

    def add(self, key: str, engine: Engine, memory_bytes: int) -> None:
        """Add an engine, and return when it is loaded.

        Raises:
            OctomilError: it cannot be loaded.
        """

        async def load() -> None:
            self._pool.add(key, engine, lazy=True, memory_bytes=memory_bytes)
            async with self._interruptible(key):
                await self._pool.ready(key)

        self._thread.run(load())

    def capabilities(self, key: str) -> Capabilities:
        """Return what a model can do."""
        return self._pool[key].engine.capabilities

    def write(self, key: str, query: Query) -> tuple[str, Run]:
        """Return a whole answer.

        Raises:
            EngineError: it cannot be made; or the engines were closed meanwhile.
        """
        run = Run()

        async def gather() -> str:
            async with aclosing(self._pieces(key, query, run)) as pieces:
                return "".join([piece.text async for piece in pieces])

        return self._thread.run(gather()), run

    def stream(self, key: str, query: Query, run: Run) -> AsyncGenerator[Piece, None]:
        """Yield an answer piece by piece, in the caller's loop; closing it stops the generation.

        Args:
            key: of the engine.
            query: what is asked.
            run: told how it goes.

        Raises:
            EngineError: as in `write`.
        """
        return self._thread.iterate(self._pieces(key, query, run))

    def embed(self, key: str, texts: Sequence[str]) -> Embeddings:
        """Turn texts into vectors.

        Raises:
            InvalidRequestError: the model makes none.
            EngineError: as in `write`.
        """
        return self._thread.run(self._embed(key, texts))

    def close(self) -> None:
        """Unload everything; answers under way end with an `EngineUnavailableError`."""
        _OPEN.discard(self)
        self._thread.close(self._close())

    async def _pieces(self, key: str, query: Query, run: Run) -> AsyncGenerator[Piece, None]:
        async with self._interruptible(key), self._turn(key) as (engine, run.began_at):
            request = _request(key, query, engine.capabilities)
            stream = engine.stream(request)
            run.usage = stream.usage
            async with aclosing(texts_of(stream)) as texts:
                async for text in texts:
                    now = run.timing.last_at = perf_counter()
                    if run.timing.first_at is None:
                        run.timing.begin(now, tokens=stream.usage.completion_tokens)
                    yield Piece(text, 1000 * (now - run.began_at))
            run.ended_at = perf_counter()

    async def _embed(self, key: str, texts: Sequence[str]) -> Embeddings:
        async with self._interruptible(key), self._turn(key) as (engine, _):
            if not engine.capabilities.embeddings:
                raise InvalidRequestError(f"model {key!r} writes text and makes no embeddings")
            return await engine.embed(texts)

    @asynccontextmanager
    async def _turn(self, key: str) -> AsyncIterator[tuple[Engine, float]]:
        """Wait until an engine is loaded and takes another request, and keep it until the end.

        Yields it with the time when it was loaded.
        """
        async with self._pool.loaded(key) as entry:
            loaded_at = perf_counter()
            slots = entry.engine.capabilities.max_concurrency
            async with self._turns.setdefault(key, asyncio.Semaphore(slots)):
                yield entry.engine, loaded_at

    @asynccontextmanager
    async def _interruptible(self, key: str) -> AsyncIterator[None]:
        """Let `close` end what is done in the block, with an error that says so."""
        task = asyncio.current_task()
        assert task is not None
        self._running.add(task)
        try:
            yield
        except asyncio.CancelledError:
            if not self._is_closing:
                raise
            raise EngineUnavailableError(
                f"model {key!r} was disposed of while it was at work; load it again"
            ) from None
        finally:
            self._running.discard(task)

    async def _close(self) -> None:
        self._is_closing = True
        running = list(self._running)
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        await self._pool.close()


def _request(key: str, query: Query, can: Capabilities) -> GenerationRequest:
    """Return a query in the form that a model takes.

    Raises:
        InvalidRequestError: the model does not take conversations, or writes nothing.
    """
    if can.chat:
        return GenerationRequest(
            "chat/completions", {"messages": query.messages, **query.parameters}
        )
    if not can.completions:
        raise InvalidRequestError(f"model {key!r} makes embeddings and writes no text")
    if len(query.messages) > 1:
        raise InvalidRequestError(
            f"model {key!r} continues a text and knows no conversations: give it one message",
            param="messages",
        )
    return GenerationRequest(
        "completions", {"prompt": query.messages[0]["content"], **query.parameters}
    )


def _let_go(thread: LoopThread, pool: EnginePool) -> None:
    """Unload what nobody refers to any more, without waiting: any thread may come to do this."""
    thread.close(pool.close(), wait=False)


_OPEN: "weakref.WeakSet[LocalEngines]" = weakref.WeakSet()
"""What nobody has closed yet."""


@atexit.register
def _close_all() -> None:
    for engines in list(_OPEN):
        engines.close()
