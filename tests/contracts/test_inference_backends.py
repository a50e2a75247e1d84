"""What every backend of the control plane promises, checked on every backend."""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager, aclosing, contextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from octomil.asgi.server import listen
from octomil.config import Settings
from octomil.control.backends.catalog import BACKENDS, open_backends
from octomil.control.ports import GenerationQuery, InferenceBackend, Piece
from octomil.control.serving_node import ServingNode
from octomil.errors import EngineUnreachableError, UnknownModelError
from octomil.wire.inference import InferenceParameters, Message
from support.backends import EchoBackend
from support.inference import nobody
from support.ollama_api import EMBEDDER, WRITER, ollama_api
from support.serving import serving


@contextmanager
def _ollama() -> Iterator[InferenceBackend]:
    with ollama_api() as api:
        yield opened("ollama", ollama_base_url=api.url)


@contextmanager
def _openai() -> Iterator[InferenceBackend]:
    with serving("echo:m", "--api-key", "secret") as served:
        yield opened("openai", openai_api_endpoint=f"{served.url}/v1", openai_api_key="secret")


@contextmanager
def _octomil() -> Iterator[InferenceBackend]:
    listener, flags = listen("127.0.0.1", 0), ["--on-demand", "--quiet"]
    with (
        pytest.MonkeyPatch.context() as patch,
        ServingNode(flags, listener, drain_s=0, say=print, key="secret") as node,
    ):
        patch.setenv("OCTOMIL_MODEL_ALIASES", "m=echo:m")
        *_, found = open_backends(Settings.from_env(), node)
        yield found


@contextmanager
def _echo() -> Iterator[InferenceBackend]:
    yield EchoBackend("echo", models=["m"])


def opened(name: str, **settings: Any) -> InferenceBackend:
    (found,) = [each for each in open_backends(Settings(**settings)) if each.name == name]
    return found


@dataclass(frozen=True)
class Row:
    """One backend: where it is, and a model of each kind."""

    surroundings: Callable[[], AbstractContextManager[InferenceBackend]]
    writer: str = "m"
    embedder: str = "m"


ROWS = {
    "ollama": Row(_ollama, writer=WRITER, embedder=EMBEDDER),
    "openai": Row(_openai),
    "octomil": Row(_octomil),
    "echo": Row(_echo),
}


@pytest.fixture(params=ROWS, scope="module")
def row(request: pytest.FixtureRequest) -> Row:
    return ROWS[request.param]


@pytest.fixture(scope="module")
def _surroundings(row: Row) -> Iterator[InferenceBackend]:
    with row.surroundings() as backend:
        yield backend


@pytest.fixture
async def backend(_surroundings: InferenceBackend) -> AsyncIterator[InferenceBackend]:
    yield _surroundings
    await _surroundings.close()  # the connections belong to the test's own event loop


def query(model: str, text: str, **parameters: Any) -> GenerationQuery:
    said = [Message(role="system", content="Echo."), Message(role="user", content=text)]
    return GenerationQuery(model=model, messages=said, parameters=InferenceParameters(**parameters))


async def all_of(backend: InferenceBackend, asked: GenerationQuery) -> list[Piece]:
    async with aclosing(backend.stream(asked)) as pieces:
        return [piece async for piece in pieces]


def test_every_backend_of_the_catalog_is_here():
    assert set(BACKENDS) <= set(ROWS)


async def test_an_answer_comes_in_pieces_and_the_last_alone_has_the_ending(
    backend: InferenceBackend, row: Row
):
    pieces = await all_of(backend, query(row.writer, "low tide at noon"))

    *texts, last = pieces
    assert "".join(piece.text for piece in pieces) == "low tide at noon"
    assert len(texts) >= 4
    assert [piece.ending for piece in texts] == [None] * len(texts)
    assert last.ending is not None
    assert last.ending.finish_reason == "stop"
    assert last.ending.completion_tokens == 4
    assert last.ending.prompt_tokens > 0


async def test_a_limit_of_tokens_is_kept_and_told(backend: InferenceBackend, row: Row):
    pieces = await all_of(backend, query(row.writer, "low tide at noon", max_tokens=2))

    assert "".join(piece.text for piece in pieces) == "low tide"
    assert pieces[-1].ending is not None
    assert pieces[-1].ending.finish_reason == "length"


async def test_a_stream_that_is_closed_early_leaves_the_backend_usable(
    backend: InferenceBackend, row: Row
):
    async with aclosing(backend.stream(query(row.writer, "low tide at noon"))) as pieces:
        assert (await anext(pieces)).text == "low"

    assert await all_of(backend, query(row.writer, "again"))


async def test_a_model_that_it_does_not_have_is_unknown(backend: InferenceBackend):
    with pytest.raises(UnknownModelError, match="nobody-has-this"):
        await all_of(backend, query("nobody-has-this", "hello"))
    with pytest.raises(UnknownModelError, match="nobody-has-this"):
        await backend.embed("nobody-has-this", ["hello"])


async def test_texts_become_vectors_in_their_order(backend: InferenceBackend, row: Row):
    found = await backend.embed(row.embedder, ["one", "two", "one"])

    assert len(found.vectors) == 3
    assert found.vectors[0] == pytest.approx(found.vectors[2])
    assert found.vectors[0] != pytest.approx(found.vectors[1])
    assert found.prompt_tokens == 3


async def test_it_lists_its_models(backend: InferenceBackend, row: Row):
    listed = await backend.models()

    assert row.writer in listed
    assert any(each.partition(":")[0] == row.embedder for each in listed)


async def test_closing_twice_is_harmless(backend: InferenceBackend, row: Row):
    await all_of(backend, query(row.writer, "hello"))
    await backend.close()
    await backend.close()


@pytest.mark.parametrize(
    ("name", "setting"), [("ollama", "ollama_base_url"), ("openai", "openai_api_endpoint")]
)
async def test_where_nobody_listens_it_is_unreachable(name: str, setting: str):
    with nobody() as url:
        backend = opened(name, **{setting: url})
        with pytest.raises(EngineUnreachableError):
            await all_of(backend, query("m", "hello"))
        with pytest.raises(EngineUnreachableError):
            await backend.embed("m", ["hello"])
        with pytest.raises(EngineUnreachableError):
            await backend.models()
        await backend.close()


def test_without_an_endpoint_there_is_no_openai():
    assert [each.name for each in open_backends(Settings())] == ["ollama"]
