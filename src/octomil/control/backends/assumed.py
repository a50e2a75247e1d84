"""A backend that nobody set up: it is asked in case it is there, and missed by nobody if not."""

from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import aclosing, contextmanager

from octomil.control.ports import GenerationQuery, InferenceBackend, Piece
from octomil.engines.base import Embeddings
from octomil.errors import EngineAbsentError, EngineUnreachableError


class AssumedBackend:
    """An `InferenceBackend` that tells whether its server is out of reach or was never there.

    Args:
        inner: what answers, if it is there.
    """

    def __init__(self, inner: InferenceBackend) -> None:
        self._inner = inner

    @property
    def name(self) -> str:
        """What callers know it by."""
        return self._inner.name

    async def stream(self, query: GenerationQuery) -> AsyncGenerator[Piece, None]:
        """Answer piece by piece."""
        with _absent_where_unreachable():
            async with aclosing(self._inner.stream(query)) as pieces:
                async for piece in pieces:
                    yield piece

    async def embed(self, model: str, texts: Sequence[str]) -> Embeddings:
        """Turn texts into vectors."""
        with _absent_where_unreachable():
            return await self._inner.embed(model, texts)

    async def models(self) -> Sequence[str]:
        """Return the names of the models that it serves now."""
        with _absent_where_unreachable():
            return await self._inner.models()

    async def close(self) -> None:
        """Give everything back."""
        await self._inner.close()


@contextmanager
def _absent_where_unreachable() -> Iterator[None]:
    try:
        yield
    except EngineUnreachableError as error:
        raise EngineAbsentError(str(error)) from error
