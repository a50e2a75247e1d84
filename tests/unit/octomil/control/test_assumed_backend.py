"""A backend that nobody set up: absent until it answers once, and out of reach afterwards."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing

import pytest

from octomil.control.backends.assumed import AssumedBackend
from octomil.control.ports import GenerationQuery, Piece
from octomil.engines.base import Embeddings
from octomil.errors import EngineAbsentError, EngineUnreachableError, UnknownModelError
from octomil.wire.inference import Message
from support.backends import EchoBackend

QUERY = GenerationQuery(model="m", messages=[Message(role="user", content="low tide")])


class Restartable(EchoBackend):
    """The echo, whose server takes connections while it is up."""

    def __init__(self) -> None:
        super().__init__("ollama", models=["m"])
        self.is_up = False

    async def stream(self, query: GenerationQuery) -> AsyncGenerator[Piece, None]:
        self._require_up()
        async with aclosing(super().stream(query)) as pieces:
            async for piece in pieces:
                yield piece

    async def embed(self, model: str, texts: Sequence[str]) -> Embeddings:
        self._require_up()
        return await super().embed(model, texts)

    async def models(self) -> Sequence[str]:
        self._require_up()
        return await super().models()

    def _require_up(self) -> None:
        if not self.is_up:
            raise EngineUnreachableError("refused")


async def _of_a_whole_answer(backend: AssumedBackend) -> None:
    async with aclosing(backend.stream(QUERY)) as pieces:
        assert "".join([piece.text async for piece in pieces]) == "low tide"


async def _of_a_piece(backend: AssumedBackend) -> None:
    async with aclosing(backend.stream(QUERY)) as pieces:
        assert (await anext(pieces)).text == "low"


async def _of_vectors(backend: AssumedBackend) -> None:
    assert (await backend.embed("m", ["tide"])).vectors


async def _of_its_models(backend: AssumedBackend) -> None:
    assert await backend.models() == ["m"]


async def _of_a_refusal(backend: AssumedBackend) -> None:
    with pytest.raises(UnknownModelError):
        await backend.embed("nobody-has-this", ["tide"])


ANSWERS = (_of_a_whole_answer, _of_a_piece, _of_vectors, _of_its_models, _of_a_refusal)


@pytest.mark.parametrize("answered", ANSWERS)
async def test_one_that_answered_once_is_out_of_reach_and_not_absent(
    answered: Callable[[AssumedBackend], Awaitable[None]],
):
    inner = Restartable()
    backend = AssumedBackend(inner)
    for call in (_of_a_whole_answer, _of_vectors, _of_its_models):
        with pytest.raises(EngineAbsentError):
            await call(backend)

    inner.is_up = True
    await answered(backend)
    inner.is_up = False

    for call in (_of_a_whole_answer, _of_vectors, _of_its_models):
        with pytest.raises(EngineUnreachableError) as refused:
            await call(backend)
        assert not isinstance(refused.value, EngineAbsentError)
