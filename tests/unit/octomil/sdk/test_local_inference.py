"""`octomil.Client` as it runs models itself: the demo engine, and servers that are real."""

import asyncio
import copy
import pickle
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from pathlib import Path

import pytest

from octomil import Client
from octomil.errors import (
    ConfigurationError,
    EngineUnavailableError,
    InsufficientSpaceError,
    InvalidRequestError,
    NoEngineError,
)
from support.inference_server import InferenceServer, inference_server
from support.models import make_gguf
from support.upstream import Answer, FakeUpstream, Gate, chunk, event, fake_upstream, words
from support.waiting import PATIENCE_S

MESSAGES = [{"role": "user", "content": "Write a haiku about tides"}]


@pytest.fixture
def server() -> Iterator[InferenceServer]:
    with inference_server() as server:
        yield server


@pytest.fixture
def client(server: InferenceServer) -> Iterator[Client]:
    with Client(api_key="edg_1", api_base=server.url) as client:
        yield client


@pytest.fixture
def upstream(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeUpstream]:
    with fake_upstream() as upstream:
        for name, value in upstream.env.items():
            monkeypatch.setenv(name, value)
        yield upstream


@pytest.fixture
def too_large(tmp_path: Path) -> str:
    """A model whose context would take more memory than any machine has."""
    keys = {
        "tokenizer.chat_template": "{{ messages }}",
        "llama.context_length": 4096,
        "llama.block_count": 1_000_000,
        "llama.attention.head_count": 1024,
        "llama.attention.head_count_kv": 1024,
        "llama.embedding_length": 1024 * 1024,
    }
    path = tmp_path / "huge.gguf"
    path.write_bytes(make_gguf(keys))
    return str(path)


def test_a_prediction_is_a_text_with_metrics(client: Client, server: InferenceServer):
    result = client.predict("echo", messages=MESSAGES, max_tokens=3, temperature=0, top_p=1.0)

    assert isinstance(result, str)
    assert result == "Write a haiku"
    metrics = result.metrics
    assert (metrics.provider, metrics.model, metrics.is_local) == ("echo", "echo", True)
    assert (metrics.prompt_tokens, metrics.completion_tokens) == (5, 3)
    assert (metrics.finish_reason, metrics.cost_usd) == ("length", 0.0)
    assert metrics.fallback_reason is None
    assert 0 < metrics.ttft_ms <= metrics.latency_ms
    assert metrics.load_ms > 0
    assert metrics.tokens_per_s is None or metrics.tokens_per_s > 0
    assert server.seen == []


def test_predictions_can_be_copied_and_stored(client: Client):
    result = client.predict("echo", "Hello")

    for copied in (copy.copy(result), pickle.loads(pickle.dumps(result))):
        assert (copied, copied.metrics) == (result, result.metrics)


def test_a_model_is_loaded_once_for_all_calls(client: Client):
    model = client.load_model("echo", cache_size_mb=64)

    assert (model.name, model.engine, model.version, model.digest) == ("echo", "echo", None, None)
    assert repr(model) == "<LoadedModel 'echo' in echo>"
    assert model.capabilities.chat
    assert model.predict([{"role": "user", "content": "Hello there"}], max_tokens=1) == "Hello"
    assert model.predict("Hello there").metrics.load_ms >= 0
    assert client.load_model("echo").predict("again") == "again"


def test_the_demo_engine_stands_in_for_any_model(client: Client):
    model = client.load_model("phi-4-mini", engine="echo")

    assert model.predict("said") == "said"


async def test_chunks_are_texts_with_times(client: Client):
    chunks = [c async for c in client.predict_stream("echo", messages=MESSAGES, max_tokens=3)]

    assert chunks == ["Write", " a", " haiku", ""]
    assert all(isinstance(chunk, str) for chunk in chunks)
    times = [chunk.latency_ms for chunk in chunks]
    assert times == sorted(times)
    assert times[0] > 0
    assert [chunk.metrics for chunk in chunks[:-1]] == [None] * 3
    assert chunks[-1].metrics.completion_tokens == 3


async def test_a_loaded_model_streams(client: Client):
    model = client.load_model("echo")

    assert "".join([c async for c in model.predict_stream("one two", seed=1)]) == "one two"


def test_a_loaded_model_embeds(client: Client):
    result = client.load_model("echo").embed(["hello", "hello", "world"])

    assert len(result.embeddings) == 3
    assert result.embeddings[0] == result.embeddings[1] != result.embeddings[2]
    assert (result.model, result.usage.prompt_tokens) == ("echo", 3)
    assert client.load_model("echo").embed("hello").embeddings == result.embeddings[:1]


@pytest.mark.parametrize(
    ("asked", "param", "complaint"),
    [
        ({"temperature": 3}, "temperature", "temperature must be 2 or less"),
        ({"max_tokens": 0}, "max_tokens", "max_tokens must be 1 or more"),
        ({"temprature": 1}, "temprature", "did you mean 'temperature'"),
        ({"top_p": "high"}, "top_p", "Expected `float"),
        ({"messages": []}, "messages", "empty"),
        ({"messages": [{"role": "pirate", "content": "x"}]}, "messages", "pirate"),
        ({"messages": [{"role": "user"}]}, "messages", "content"),
    ],
)
def test_what_makes_no_sense_is_refused_before_anything_is_fetched(
    client: Client, server: InferenceServer, asked, param, complaint
):
    with pytest.raises(InvalidRequestError, match=complaint) as refused:
        client.predict("no-such-model", **{"messages": MESSAGES, **asked})

    assert refused.value.param == param
    assert server.seen == []


def test_what_does_not_fit_is_answered_by_the_control_plane(
    client: Client, server: InferenceServer, too_large: str
):
    result = client.predict(too_large, messages=MESSAGES, max_tokens=8)

    assert result == "Write a haiku about tides"
    metrics = result.metrics
    assert "estimated to need" in metrics.fallback_reason
    assert (metrics.provider, metrics.is_local, metrics.cost_usd) == ("ollama", False, None)
    assert (metrics.completion_tokens, metrics.finish_reason) == (5, "stop")
    (seen,) = server.seen
    assert seen.body["messages"] == MESSAGES
    assert seen.body["parameters"] == {"max_tokens": 8}


async def test_what_does_not_fit_is_streamed_by_the_control_plane(client: Client, too_large: str):
    chunks = [chunk async for chunk in client.predict_stream(too_large, "a b")]

    assert chunks == ["a", " b", ""]
    assert "estimated to need" in chunks[-1].metrics.fallback_reason
    assert chunks[-1].metrics.completion_tokens == 2


def test_what_is_to_be_loaded_here_is_not_answered_elsewhere(
    client: Client, server: InferenceServer, too_large: str
):
    with pytest.raises(InsufficientSpaceError, match="estimated to need"):
        client.load_model(too_large)
    with pytest.raises(NoEngineError, match="'onnxruntime' does not run"):
        client.load_model("smollm2-135m", engine="onnxruntime")
    with pytest.raises(ConfigurationError, match="did you mean 'llama_cpp'"):
        client.load_model("smollm2-135m", engine="lama.cpp")
    assert server.seen == []


async def test_an_abandoned_stream_stops_the_generation(client: Client, upstream: FakeUpstream):
    gate = Gate()
    upstream.script("m", Answer([event(chunk("Hello")), gate, *words("and more")]))
    async with aclosing(client.predict_stream("openai:m", "Hi")) as chunks:
        assert await anext(chunks) == "Hello"
        await asyncio.to_thread(gate.await_waiting)

    await asyncio.to_thread(gate.await_hang_up)


async def test_a_cancelled_task_stops_the_generation(client: Client, upstream: FakeUpstream):
    gate = Gate()
    upstream.script("m", Answer([event(chunk("Hello")), gate]))

    async def read() -> None:
        async for _ in client.predict_stream("openai:m", "Hi"):
            pass

    task = asyncio.create_task(read())
    await asyncio.to_thread(gate.await_waiting)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    await asyncio.to_thread(gate.await_hang_up)


def test_disposing_ends_a_prediction_with_an_error(client: Client, upstream: FakeUpstream):
    gate = Gate()
    upstream.script("m", Answer([event(chunk("Hello")), gate]))
    with ThreadPoolExecutor(1) as threads:
        answer = threads.submit(client.predict, "openai:m", "Hi")
        gate.await_waiting()
        client.dispose()

        with pytest.raises(EngineUnavailableError, match="disposed of while it was at work"):
            answer.result(PATIENCE_S)
    gate.await_hang_up()


async def test_disposing_ends_a_stream_with_an_error(client: Client, upstream: FakeUpstream):
    gate = Gate()
    upstream.script("m", Answer([event(chunk("Hello")), gate]))
    chunks = client.predict_stream("openai:m", "Hi")
    assert await anext(chunks) == "Hello"
    await asyncio.to_thread(client.dispose)

    with pytest.raises(EngineUnavailableError, match="disposed of while it was at work"):
        await anext(chunks)


def test_what_was_disposed_of_is_loaded_anew_by_name(client: Client):
    model = client.load_model("echo")
    client.dispose()
    client.dispose()

    with pytest.raises(EngineUnavailableError, match="load them again"):
        model.predict("Hello")
    assert client.predict("echo", "Hello") == "Hello"


def test_leaving_the_block_disposes(server: InferenceServer):
    before = threading.active_count()
    with Client(api_key="edg_1", api_base=server.url) as client:
        model = client.load_model("echo")

    with pytest.raises(EngineUnavailableError):
        model.predict("Hello")
    assert threading.active_count() == before


def test_threads_share_one_model(client: Client, upstream: FakeUpstream):
    with ThreadPoolExecutor(8) as threads:
        said = list(threads.map(lambda n: client.predict("openai:m", str(n)), range(32)))

    assert said == ["this is m"] * 32
    assert len(upstream.requests("m")) == 32
