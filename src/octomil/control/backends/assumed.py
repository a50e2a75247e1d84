"""A backend that nobody set up: asked in case it is there, and missed only if it once was."""

from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import aclosing, contextmanager

from octomil.control.ports import GenerationQuery, InferenceBackend, Piece
from octomil.engines.base import Embeddings
from octomil.errors import EngineAbsentError, EngineUnreachableError, OctomilError


class AssumedBackend:
    """An `InferenceBackend` that tells whether its server is out of reach or was never there.

    Once it has answered, in whatever way, it is there: from then on, as long as this process lives,
    it is out of reach where it takes no connection, and absent no more.

    Args:
        inner: what answers, if it is there.
    """

    def __init__(self, inner: InferenceBackend) -> None:
        self._inner = inner
        self._has_answered = False

    @property
    def name(self) -> str:
        """What callers know it by."""
        return self._inner.name

    async def stream(self, query: GenerationQuery) -> AsyncGenerator[Piece, None]:
        """Answer piece by piece."""
        with self._told_apart():
            async with aclosing(self._inner.stream(query)) as pieces:
                async for piece in pieces:
                    self._has_answered = True
                    yield piece

    async def embed(self, model: str, texts: Sequence[str]) -> Embeddings:
        """Turn texts into vectors."""
        with self._told_apart():
            return await self._inner.embed(model, texts)

    async def models(self) -> Sequence[str]:
        """Return the names of the models that it serves now."""
        with self._told_apart():
            return await self._inner.models()

    async def close(self) -> None:
        """Give everything back."""
        await self._inner.close()

    @contextmanager
    def _told_apart(self) -> Iterator[None]:
        """Note what answers of the server show: any but a refused connection show that it is there.

        Raises:
            EngineAbsentError: it takes no connection, and never answered.
        """
        try:
            yield
        except EngineUnreachableError as error:
            if self._has_answered:
                raise
            raise EngineAbsentError(str(error)) from error
        except OctomilError:
            self._has_answered = True
            raise
        self._has_answered = True
