"""The serving node beside the control plane, which the first request starts."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Collection, Sequence
from contextlib import aclosing
from typing import Protocol

from octomil.control.ports.inference import GenerationQuery, InferenceBackend, Piece
from octomil.engines.base import Embeddings
from octomil.errors import EngineUnreachableError


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
        self._start()
        async with aclosing(self._inner.stream(query)) as pieces:
            async for piece in pieces:
                yield piece

    async def embed(self, model: str, texts: Sequence[str]) -> Embeddings:
        """Turn texts into vectors."""
        self._start()
        return await self._inner.embed(model, texts)

    async def models(self) -> Sequence[str]:
        """Return the names that it answers to; to ask for them starts nothing."""
        if not self._node.is_started:
            return list(await asyncio.to_thread(self._offers))
        self._require_up()
        return await self._inner.models()

    async def close(self) -> None:
        """Close the connections; the process is its owner's to end."""
        await self._inner.close()

    def _start(self) -> None:
        self._node.start()
        self._require_up()

    def _require_up(self) -> None:
        """Refuse while nobody would answer: the node's socket takes connections all the same."""
        if self._node.is_down:
            raise EngineUnreachableError("the serving node has ended, and is being started again")
