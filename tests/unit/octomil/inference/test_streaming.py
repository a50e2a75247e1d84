"""Streams of tokens from a real server: what is sent, what comes, and what stops."""

import asyncio
import gc
import math
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest

import octomil
from octomil.errors import (
    AnswerTimeoutError,
    BadRequestError,
    ConfigurationError,
    ServerUnreachableError,
)
from octomil.http.api import ApiClient
from octomil.http.deadline import Deadline
from octomil.http.exchange import Request
from octomil.inference import StreamToken, TokenUsage, stream_inference, stream_inference_async
from octomil.inference import streaming as streaming_module
from octomil.inference.streaming import stream_tokens
from support.certificates import certificate
from support.inference_server import (
    HEARTBEAT,
    SESSION,
    Hold,
    InferenceServer,
    done,
    heartbeats_for_ever,
    inference_server,
    streaming,
    token,
    words,
)
from support.streams import READINGS, Reading
from support.waiting import PATIENCE_S

TALK = "the quick brown fox"

both_ways = pytest.mark.parametrize("read", READINGS.values(), ids=READINGS)


@both_ways
def test_tokens_come_one_by_one_and_the_last_is_done(server: InferenceServer, read: Reading):
    outcome = read(server.url, TALK)

    assert outcome.is_whole
    assert outcome.text == TALK
    first, *_, last = outcome.tokens
    assert first == StreamToken(
        token="the", done=False, provider="ollama", latency_ms=1.5, session_id=SESSION
    )
    assert (last.token, last.finish_reason) == ("", "stop")
    assert last.usage == TokenUsage(prompt_tokens=3, completion_tokens=4, total_tokens=7)


@both_ways
def test_a_token_is_had_before_the_next_is_made(server: InferenceServer, read: Reading):
    hold = Hold()
    server.script(streaming(token("one"), hold, done(1)))

    async def first_of_async() -> str:
        async for each in stream_inference_async(server.url, "k", "m", TALK):
            hold.open()
            return each.token
        return ""

    def first_of_blocking() -> str:
        for each in stream_inference(server.url, "k", "m", TALK):
            hold.open()
            return each.token
        return ""

    is_blocking = read is READINGS["blocking"]
    said = first_of_blocking() if is_blocking else asyncio.run(first_of_async())

    assert said == "one"


def test_a_text_and_a_conversation_go_as_the_wire_has_them(server: InferenceServer):
    messages = [{"role": "user", "content": "Hello"}]
    list(stream_inference(server.url, "edg_1", "phi", "Hello", {"max_tokens": 8}))
    list(stream_inference(server.url + "/api/v1", "edg_1", "phi", messages))

    text, conversation = server.seen
    assert text.path == conversation.path == "/api/v1/inference/stream"
    assert text.body == {"model_id": "phi", "input_data": "Hello", "parameters": {"max_tokens": 8}}
    assert conversation.body == {"model_id": "phi", "messages": messages}
    assert text.headers["authorization"] == "Bearer edg_1"
    assert text.headers["accept"] == "text/event-stream"


async def test_an_event_loop_sends_the_same(server: InferenceServer):
    messages = [{"role": "user", "content": "Hello"}]
    said = [t.token async for t in stream_inference_async(server.url, "edg_1", "phi", messages)]

    assert said == ["Hello", ""]
    assert server.seen[0].body == {"model_id": "phi", "messages": messages}
    assert server.seen[0].headers["authorization"] == "Bearer edg_1"


def test_nothing_is_sent_before_a_token_is_asked_for(server: InferenceServer):
    tokens = stream_inference(server.url, "k", "m", TALK)
    tokens.close()

    assert server.seen == []


@pytest.mark.parametrize("stream", [stream_inference, stream_inference_async])
@pytest.mark.parametrize(
    "given",
    [
        {"server_url": "nowhere"}, {"api_key": ""}, {"api_key": "edg_é"}, {"api_key": "edg_1\n"},
        {"timeout": 0}, {"timeout": float("nan")},
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_refused_at_once(stream, given):
    with pytest.raises(ConfigurationError):
        stream(**{"server_url": "http://x", "api_key": "k", "model_id": "m", "input_data": "a",
                  **given})  # fmt: skip


@pytest.mark.parametrize("stream", [stream_inference, stream_inference_async])
@pytest.mark.parametrize(
    "given",
    [
        {"input_data": {"role": "user", "content": "Hello"}}, {"input_data": ["Hello"]},
        {"input_data": None}, {"input_data": b"Hello"}, {"parameters": ["temperature"]},
    ],
)  # fmt: skip
def test_what_is_no_question_is_refused_at_once(stream, given):
    with pytest.raises(BadRequestError, match=next(iter(given))):
        stream("http://x", "k", "m", **{"input_data": "a", **given})


@both_ways
@pytest.mark.parametrize("unfit", ["a lone \ud800", [{"content": {1}}], [{"content": math.nan}]])
def test_what_is_no_json_is_an_error_that_says_so(server: InferenceServer, read: Reading, unfit):
    error = read(server.url, unfit).error

    assert isinstance(error, BadRequestError)
    assert "JSON" in str(error)
    assert server.seen == []


@both_ways
def test_heartbeats_between_tokens_are_no_tokens(server: InferenceServer, read: Reading):
    first, *rest = words(TALK)
    server.script(streaming(HEARTBEAT, first, HEARTBEAT, HEARTBEAT, *rest))

    assert read(server.url, "").text == TALK


@both_ways
def test_what_comes_after_the_end_is_not_waited_for(server: InferenceServer, read: Reading):
    hold = Hold()
    server.script(streaming(*words(TALK), hold))

    assert read(server.url, "").is_whole
    hold.await_left()


class TestLeaving:
    """A stream that nobody reads any more ends at the server."""

    def test_leaving_the_loop(self, server: InferenceServer):
        hold = held(server)
        for _ in stream_inference(server.url, "k", "m", TALK):
            break

        hold.await_left()

    def test_closing_the_generator(self, server: InferenceServer):
        hold = held(server)
        tokens = stream_inference(server.url, "k", "m", TALK)
        next(tokens)
        tokens.close()

        hold.await_left()

    def test_an_error_of_the_readers_own(self, server: InferenceServer):
        hold = held(server)
        with pytest.raises(ZeroDivisionError):
            sum(1 / 0 for _ in stream_inference(server.url, "k", "m", TALK))

        hold.await_left()

    def test_a_generator_in_a_circle_that_is_collected(self, server: InferenceServer):
        hold = held(server)
        circle: list[object] = [stream_inference(server.url, "k", "m", TALK)]
        next(circle[0])
        circle.append(circle)
        del circle
        gc.collect()

        hold.await_left()

    async def test_leaving_a_loop_in_an_event_loop(self, server: InferenceServer):
        hold = held(server)
        async for _ in stream_inference_async(server.url, "k", "m", TALK):
            break
        gc.collect()

        await asyncio.to_thread(hold.await_left)

    async def test_closing_an_asynchronous_generator(self, server: InferenceServer):
        hold = held(server)
        tokens = stream_inference_async(server.url, "k", "m", TALK)
        await anext(tokens)
        await tokens.aclose()

        await asyncio.to_thread(hold.await_left)

    async def test_cancelling_the_task(self, server: InferenceServer):
        hold = held(server)

        async def read() -> None:
            async for _ in stream_inference_async(server.url, "k", "m", TALK):
                pass

        task = asyncio.create_task(read())
        await asyncio.to_thread(hold.await_waiting)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

        await asyncio.to_thread(hold.await_left)

    def test_a_client_goes_on_with_another_stream(self, server: InferenceServer):
        hold = held(server)
        with octomil.Client(api_key="k", api_base=server.url) as client:
            for _ in client.stream_predict("m", TALK):
                break
            hold.await_left()
            again = "".join(t.token for t in client.stream_predict("m", TALK))

        assert again == TALK


def held(server: InferenceServer) -> Hold:
    hold = Hold()
    server.script(streaming(token("one"), hold, done(1)))
    return hold


def test_time_that_the_reader_takes_does_not_count(server: InferenceServer):
    deadline = Deadline(PATIENCE_S)
    request = Request(method="POST", path="/inference/stream", json={"input_data": TALK},
                      deadline=deadline)  # fmt: skip
    with ApiClient(server.url, None) as api:
        tokens = streaming_module._tokens(api, request, deadline)
        left = [deadline.left_s for _ in tokens]

    assert left == [math.inf] * 5


class TestOverTls:
    """The same, where bytes come in records and a deadline ends a connection in the middle."""

    @pytest.fixture
    def secure(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[InferenceServer]:
        trusting = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE
        for module in ("api", "event_loop"):
            monkeypatch.setattr(f"octomil.http.{module}.tls_context", lambda: trusting)
        with inference_server(certificate(tmp_path)) as server:
            yield server

    @both_ways
    def test_an_answer_and_one_that_never_ends(self, secure: InferenceServer, read: Reading):
        assert read(secure.url, TALK).text == TALK
        secure.script(heartbeats_for_ever(token("one")))

        assert isinstance(read(secure.url, TALK, timeout_s=0.5).error, AnswerTimeoutError)

    @both_ways
    def test_a_stream_that_falls_silent(self, secure: InferenceServer, read: Reading):
        secure.script(streaming(token("one"), Hold()))

        assert isinstance(read(secure.url, TALK, timeout_s=0.5).error, AnswerTimeoutError)

    def test_a_stream_that_is_left(self, secure: InferenceServer):
        hold = Hold()
        secure.script(streaming(token("one"), hold))
        with ApiClient(secure.url, None) as api:
            tokens = stream_tokens(api, "m", TALK, None, PATIENCE_S)
            assert next(tokens).token == "one"
            tokens.close()

        hold.await_left()

    def test_nobody_trusts_a_stranger(self, tmp_path: Path):
        with inference_server(certificate(tmp_path)) as server:
            error = READINGS["blocking"](server.url, TALK).error

        assert isinstance(error, ServerUnreachableError)
        assert "certificate" in str(error).lower()


async def test_streams_of_one_client_do_not_get_into_each_other(server: InferenceServer):
    """Blocking ones in threads, and others in this event loop."""
    with octomil.Client(api_key="k", api_base=server.url) as client:

        def blocking(text: str) -> str:
            return "".join(token.token for token in client.stream_predict("m", text))

        async def looped(text: str) -> str:
            return "".join([t.token async for t in client.stream_predict_async("m", text)])

        texts = [f"number {number} of them" for number in range(8)]
        in_threads = [asyncio.to_thread(blocking, text) for text in texts]
        said = await asyncio.gather(*in_threads, *map(looped, texts))

    assert said == texts * 2
