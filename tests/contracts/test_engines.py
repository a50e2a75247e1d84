"""What every engine promises, checked on every engine.

An engine says by its capabilities which of these apply to it; a new engine is one more row in
`ENGINES`.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager
from dataclasses import dataclass

import pytest

from octomil.config import Settings
from octomil.engines.base import Engine, EventStream, GenerationRequest
from octomil.engines.catalog import ENGINES as CATALOG
from octomil.engines.catalog import (
    TRANSFORMERS_PACKAGES,
    EngineOptions,
    EngineRequest,
    create_engine,
)
from octomil.errors import ContextLengthError, EngineUnavailableError, InvalidRequestError
from octomil.http.sse import event_data
from octomil.models.pull import ModelStore
from octomil.models.references import parse_reference
from support.models import model_cache_dir
from support.ollama import ollama
from support.serving import serving


@contextmanager
def _here() -> Iterator[Settings]:
    yield Settings(cache_dir=model_cache_dir())


@contextmanager
def _behind_ollama() -> Iterator[Settings]:
    with ollama() as url:
        yield Settings(cache_dir=model_cache_dir(), ollama_base_url=url)


@contextmanager
def _behind_openai() -> Iterator[Settings]:
    with serving("echo:remote", "--api-key", "secret", "--ctx-size", "8192") as served:
        yield Settings(
            cache_dir=model_cache_dir(),
            openai_api_endpoint=f"{served.url}/v1",
            openai_api_key="secret",
        )


@dataclass(frozen=True)
class Row:
    """One engine: what it runs, where, and what it promises."""

    reference: str
    surroundings: Callable[[], AbstractContextManager[Settings]]
    writes: bool = True
    embeds: bool = True
    needs_model: bool = False
    knows_context: bool = True
    engine: str | None = None
    packages: tuple[str, ...] = ()

    @property
    def marks(self) -> list[pytest.MarkDecorator]:
        """What says that a machine may lack what it needs."""
        model = [pytest.mark.model] if self.needs_model else []
        return [*model, pytest.mark.optional] if self.packages else model


ENGINES = {
    "echo": Row("echo", _here),
    "ollama": Row("ollama:llama3.2:3b", _behind_ollama, embeds=False),
    "openai": Row("openai:remote", _behind_openai, knows_context=False),
    "llama_cpp": Row("smollm2-135m", _here, embeds=False, needs_model=True),
    "onnxruntime": Row("all-minilm-l6-v2", _here, writes=False, needs_model=True),
    "transformers": Row(
        "smollm2-135m",
        _here,
        embeds=False,
        needs_model=True,
        engine="transformers",
        packages=TRANSFORMERS_PACKAGES,
    ),
}

APPLE_ONLY = {"mlx_lm"}


def rows(applies: Callable[[Row], bool]) -> list[object]:
    """The engines a test applies to, as pytest parameters."""
    return [pytest.param(name, marks=row.marks) for name, row in ENGINES.items() if applies(row)]


@dataclass
class Subject:
    """An engine under test: a factory of it, on settings that live for the whole module."""

    name: str
    reference: str
    settings: Settings
    engine: str | None

    def make(self) -> Engine:
        ref = parse_reference(self.reference)
        files = ModelStore(self.settings).pull(ref) if ref.has_files else None
        options = EngineOptions(threads=1, slots=2, context_tokens=512, cache_mib=16)
        return create_engine(EngineRequest(ref, files, options, self.settings, self.engine))

    @asynccontextmanager
    async def loaded(self) -> AsyncIterator[Engine]:
        engine = self.make()
        await engine.load(lambda line: None)
        try:
            yield engine
        finally:
            await engine.close()


@contextmanager
def subject_of(name: str) -> Iterator[Subject]:
    row = ENGINES[name]
    for package in row.packages:
        pytest.importorskip(package)
    with row.surroundings() as settings:
        yield Subject(name, row.reference, settings, row.engine)


@pytest.fixture(scope="module", params=rows(lambda row: True))
def subject(request: pytest.FixtureRequest) -> Iterator[Subject]:
    with subject_of(request.param) as found:
        yield found


@pytest.fixture(scope="module", params=rows(lambda row: row.writes))
def writing(request: pytest.FixtureRequest) -> Iterator[Subject]:
    with subject_of(request.param) as found:
        yield found


@pytest.fixture(scope="module", params=rows(lambda row: row.embeds))
def embedding(request: pytest.FixtureRequest) -> Iterator[Subject]:
    with subject_of(request.param) as found:
        yield found


@pytest.fixture
async def writer(writing: Subject) -> AsyncIterator[Engine]:
    """A loaded engine that writes text."""
    async with writing.loaded() as engine:
        yield engine


async def test_declares_what_it_does(subject: Subject) -> None:
    row = ENGINES[subject.name]

    async with subject.loaded() as engine:
        able = engine.capabilities

    assert (able.chat, able.completions) == (row.writes, row.writes)
    assert able.embeddings == row.embeds
    assert (able.context_tokens is not None) == row.knows_context
    assert able.max_concurrency >= 1


def test_every_engine_of_the_catalog_is_a_subject() -> None:
    assert set(ENGINES) == set(CATALOG) - APPLE_ONLY


def chat(content: str = "Say hello to the sea", **body) -> GenerationRequest:
    messages = [{"role": "user", "content": content}]
    asked = {"messages": messages, "max_tokens": 12, "temperature": 0, **body}
    return GenerationRequest("chat/completions", asked)


async def read(stream: EventStream) -> list[dict]:
    return [json.loads(data) async for block in stream.events for data in event_data(block)]


async def test_answers_a_chat_in_one_piece(writer: Engine) -> None:
    completion = await writer.generate(chat())

    answer = json.loads(completion.body)
    assert answer["object"] == "chat.completion"
    (choice,) = answer["choices"]
    assert choice["message"]["role"] == "assistant"
    assert choice["message"]["content"].strip()
    assert choice["finish_reason"] in ("stop", "length")
    assert answer["usage"]["completion_tokens"] == completion.usage.completion_tokens > 0
    assert completion.usage.prompt_tokens > 0


async def test_streams_whole_events_and_fills_usage_at_the_end(writer: Engine) -> None:
    stream = writer.stream(chat())
    blocks = [block async for block in stream.events]

    assert all(block.endswith(b"\n\n") for block in blocks)
    assert b"[DONE]" not in b"".join(blocks)
    chunks = [json.loads(data) for block in blocks for data in event_data(block)]
    assert all(chunk["object"] == "chat.completion.chunk" for chunk in chunks)
    assert not any("usage" in chunk or "prompt_progress" in chunk for chunk in chunks)
    text = "".join(c["choices"][0]["delta"].get("content") or "" for c in chunks)
    assert text.strip()
    assert stream.usage.prompt_tokens > 0
    assert stream.usage.completion_tokens > 0
    assert stream.usage.finish_reason in ("stop", "length")


async def test_streams_one_usage_chunk_last_when_asked(writer: Engine) -> None:
    chunks = await read(writer.stream(chat(stream_options={"include_usage": True}, n=2)))

    assert [bool(chunk.get("usage")) for chunk in chunks].count(True) == 1
    assert chunks[-1]["choices"] == []
    assert chunks[-1]["usage"]["completion_tokens"] > 1
    assert {c["choices"][0]["index"] for c in chunks[:-1]} == {0, 1}


async def test_streaming_and_one_piece_say_the_same_at_temperature_zero(writer: Engine) -> None:
    request = chat(seed=7)
    await writer.generate(chat(max_tokens=1))  # what is cached alters the last bits of the next

    chunks = await read(writer.stream(request))
    whole = json.loads((await writer.generate(request)).body)

    streamed = "".join(c["choices"][0]["delta"].get("content") or "" for c in chunks)
    assert streamed == whole["choices"][0]["message"]["content"]


async def test_max_tokens_cuts_and_says_so(writer: Engine) -> None:
    completion = await writer.generate(chat("one two three four five", max_tokens=2))

    assert completion.usage.completion_tokens == 2
    assert json.loads(completion.body)["choices"][0]["finish_reason"] == "length"


async def test_continues_text(writer: Engine) -> None:
    body = {"prompt": "Once upon a time", "max_tokens": 4, "temperature": 0}

    completion = await writer.generate(GenerationRequest("completions", body))

    answer = json.loads(completion.body)
    assert answer["object"] == "text_completion"
    assert answer["choices"][0]["text"]


async def test_constrains_the_answer_to_a_schema(writer: Engine) -> None:
    schema = {
        "type": "object",
        "properties": {"city": {"type": "string", "enum": ["Paris", "Rome"]}},
        "required": ["city"],
        "additionalProperties": False,
    }
    wanted = {"type": "json_schema", "json_schema": {"name": "place", "schema": schema}}

    if not writer.capabilities.structured_output:
        with pytest.raises(InvalidRequestError, match="response_format"):
            await writer.generate(chat(response_format=wanted))
        return
    completion = await writer.generate(chat(response_format=wanted, max_tokens=200))

    content = json.loads(completion.body)["choices"][0]["message"]["content"]
    assert json.loads(content)["city"] in ("Paris", "Rome")


async def test_refuses_a_prompt_longer_than_its_context(writer: Engine) -> None:
    words = "word " * ((writer.capabilities.context_tokens or 8192) + 50)

    with pytest.raises(ContextLengthError) as whole:
        await writer.generate(chat(words))
    with pytest.raises(ContextLengthError):
        await read(writer.stream(chat(words)))
    assert whole.value.code == "context_length_exceeded"


async def test_runs_as_many_requests_at_once_as_it_declares(writer: Engine) -> None:
    count = min(writer.capabilities.max_concurrency, 4)

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(writer.generate(chat(f"number {i}"))) for i in range(count)]

    assert all(json.loads(task.result().body)["choices"] for task in tasks)


async def test_closing_a_stream_frees_the_engine(writer: Engine) -> None:
    stream = writer.stream(chat(" ".join(["word"] * 200), max_tokens=200))
    await anext(stream.events)
    await stream.events.aclose()

    async with asyncio.timeout(120):
        while await writer.busy():
            await asyncio.sleep(0)

    assert (await writer.generate(chat())).usage.completion_tokens > 0


async def test_counts_tokens(writer: Engine) -> None:
    assert await writer.tokens("a few words more") >= 1
    assert await writer.tokens("word " * 100) > await writer.tokens("word " * 10)


async def test_embeds_in_order_with_unit_length(embedding: Subject) -> None:
    async with embedding.loaded() as engine:
        texts = ["the cat sleeps", "quarterly revenue", "the cat sleeps"]
        result = await engine.embed(texts)

    assert len(result.vectors) == 3
    assert list(result.vectors[0]) == pytest.approx(list(result.vectors[2]), abs=1e-5)
    assert list(result.vectors[0]) != pytest.approx(list(result.vectors[1]), abs=1e-5)
    assert sum(x * x for x in result.vectors[0]) == pytest.approx(1.0, abs=1e-3)
    assert result.prompt_tokens > 0


async def test_is_unavailable_before_load_and_after_close(subject: Subject) -> None:
    engine = subject.make()
    requests = [lambda: engine.embed(["x"]), lambda: engine.generate(chat())]
    able = engine.capabilities
    request = requests[1] if able.chat else requests[0]

    with pytest.raises(EngineUnavailableError):
        await request()
    await engine.load(lambda line: None)
    await engine.close()
    await engine.close()
    with pytest.raises(EngineUnavailableError):
        await request()


async def test_can_be_loaded_again_after_close(subject: Subject) -> None:
    engine = subject.make()
    await engine.load(lambda line: None)
    await engine.close()

    await engine.load(lambda line: None)
    try:
        if engine.capabilities.chat:
            assert (await engine.generate(chat())).usage.completion_tokens > 0
        else:
            assert (await engine.embed(["again"])).vectors
    finally:
        await engine.close()
