"""The first answer of an engine, and what counts as none."""

import asyncio
import math
from collections.abc import Sequence

import pytest

from octomil.engines.base import Capabilities, Embeddings, EventStream, GenerationRequest, Usage
from octomil.engines.echo import EchoEngine
from octomil.errors import GenerationError
from octomil.serve.smoke import smoke_test
from support.virtual_time import in_virtual_time


class Vectors(EchoEngine):
    """Makes nothing but vectors, and always this one."""

    def __init__(self, vector: Sequence[float]) -> None:
        super().__init__()
        self._vector = vector

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities(chat=False, completions=False, embeddings=True)

    async def embed(self, texts: Sequence[str]) -> Embeddings:
        return Embeddings([self._vector for _ in texts], 1)


class Mute(EchoEngine):
    """Says nothing, after so many seconds."""

    def __init__(self, after_s: float = 0.0) -> None:
        super().__init__()
        self._after_s = after_s

    def stream(self, request: GenerationRequest) -> EventStream:
        async def events():
            await asyncio.sleep(self._after_s)
            for nothing in ():
                yield nothing

        return EventStream(events(), Usage())


@in_virtual_time
async def test_engine_that_writes_is_told_its_pace():
    engine = EchoEngine(delay_s=0.5)
    await engine.load(lambda _line: None)

    pace = await smoke_test(engine)

    assert pace is not None
    assert pace.tokens == 11  # of the twelve words, all but the first


async def test_vector_of_numbers_is_an_answer():
    assert await smoke_test(Vectors([0.6, 0.8])) is None


@pytest.mark.parametrize("vector", [[], [math.nan, 1.0], [math.inf]])
async def test_vector_of_anything_else_is_none(vector: list[float]):
    with pytest.raises(GenerationError, match="vector that is not all numbers"):
        await smoke_test(Vectors(vector))


async def test_no_token_at_all_is_no_answer():
    with pytest.raises(GenerationError, match="no token at all"):
        await smoke_test(Mute())


@in_virtual_time
async def test_engine_that_hangs_fails_when_its_time_is_up():
    with pytest.raises(GenerationError, match="not answered within 300 s"):
        await smoke_test(Mute(after_s=1e6))
