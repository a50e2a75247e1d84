"""The serving node beside the control plane, which the first request starts."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Collection, Sequence
from contextlib import AbstractContextManager, aclosing, asynccontextmanager
from typing import Final, Protocol

from octomil.control.ports.inference import GenerationQuery, InferenceBackend, Piece
from octomil.engines.base import Embeddings
from octomil.errors import EngineUnreachableError

_ENDED: Final = "the serving node has ended, and is being started again"


class Startable(Protocol):
    """A server that runs once it is asked for."""

    @property
    def is_started(self) -> bool:
        """Whether anybody asked for it yet."""
        ...

    @property
    def is_down(self) -> bool:
        """Whether it has died and was not started again yet."""
        ...

    def start(self) -> None:
        """Start it, unless that was done; never blocks for long."""
        ...

    def told_of_end(self, tell: Callable[[], object]) -> AbstractContextManager[None]:
        """Call `tell`, from whatever thread, each time that it dies while the block runs."""
        ...


class NodeBackend:
    """An `InferenceBackend` over a serving node of this machine.

    A request waits as long as the node takes to fetch and load the model, and no longer than its
    process lives.

    Args:
        node: the process.
        inner: speaks to it.
        offers: returns the names that it would answer to, while it has not been started; blocks.
    """

    def __init__(
        self, node: Startable, inner: InferenceBackend, offers: Callable[[], Collection[str]]
    ) -> None:
        self._node = node
        self._inner = inner
        self._offers = offers

    @property
    def name(self) -> str:
        """What callers know it by."""
        return self._inner.name

    async def stream(self, query: GenerationQuery) -> AsyncGenerator[Piece, None]:
        """Answer piece by piece."""
        self._node.start()
        async with aclosing(self._inner.stream(query)) as pieces:
            async with self._while_it_lives():
                first = await anext(pieces, None)
            if first is not None:  # from here on, its end breaks the connection
                yield first
            async for piece in pieces:
                yield piece

    async def embed(self, model: str, texts: Sequence[str]) -> Embeddings:
        """Turn texts into vectors."""
        self._node.start()
        async with self._while_it_lives():
            return await self._inner.embed(model, texts)

    async def models(self) -> Sequence[str]:
        """Return the names that it answers to; to ask for them starts nothing."""
        if not self._node.is_started:
            return list(await asyncio.to_thread(self._offers))
        async with self._while_it_lives():
            return await self._inner.models()

    async def close(self) -> None:
        """Close the connections; the process is its owner's to end."""
        await self._inner.close()

    @asynccontextmanager
    async def _while_it_lives(self) -> AsyncIterator[None]:
        """Give the block up when the process ends: its socket takes connections all the same.

        Raises:
            EngineUnreachableError: it has ended.
        """
        loop, waiting = asyncio.get_running_loop(), asyncio.timeout(None)
        is_waiting = True

        def give_up() -> None:
            if is_waiting and not waiting.expired():
                waiting.reschedule(loop.time())

        try:
            async with waiting:
                with self._node.told_of_end(lambda: loop.call_soon_threadsafe(give_up)):
                    if self._node.is_down:
                        raise EngineUnreachableError(_ENDED)
                    yield
        except TimeoutError as error:
            if not waiting.expired():
                raise
            raise EngineUnreachableError(_ENDED) from error
        finally:
            is_waiting = False
