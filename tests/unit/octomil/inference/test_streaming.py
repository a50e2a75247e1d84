"""Streams of tokens from a real server: what is sent, what comes, what stops, what goes wrong."""

import asyncio
import gc
import math
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest

import octomil
from octomil.errors import (
    AnswerTimeoutError,
    ConfigurationError,
    ForbiddenError,
    OctomilClientError,
    RateLimitedError,
    ServerUnreachableError,
    ServiceUnavailableError,
    TruncatedStreamError,
    UnexpectedAnswerError,
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
    REQUEST_ID,
    SESSION,
    Hold,
    InferenceServer,
    done,
    error_event,
    heartbeats_for_ever,
    inference_server,
    plainly,
    refusing,
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
    [{"server_url": "nowhere"}, {"api_key": ""}, {"timeout": 0}, {"timeout": float("nan")}],
)
def test_what_makes_no_sense_is_refused_at_once(stream, given):
    with pytest.raises(ConfigurationError):
        stream(**{"server_url": "http://x", "api_key": "k", "model_id": "m", "input_data": "a",
                  **given})  # fmt: skip


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


class TestErrors:
    """Every way a stream can go wrong is an error of its own, and tells which request it was."""

    @both_ways
    def test_a_refusal_comes_before_any_token(self, server: InferenceServer, read: Reading):
        server.script(refusing("forbidden", 403, "the key lacks the scope 'inference'"))
        outcome = read(server.url, TALK)

        assert outcome.tokens == []
        assert isinstance(outcome.error, ForbiddenError)
        assert str(outcome.error) == "the key lacks the scope 'inference'"
        assert outcome.error.request_id == REQUEST_ID

    @both_ways
    def test_the_server_gives_up_in_the_middle(self, server: InferenceServer, read: Reading):
        event = error_event("service_unavailable", 503, "the backend died; ask again")
        server.script(streaming(token("one") + event))
        outcome = read(server.url, TALK)

        assert outcome.text == "one"
        assert isinstance(outcome.error, ServiceUnavailableError)
        assert str(outcome.error) == "the backend died; ask again"
        assert outcome.error.request_id == REQUEST_ID
        assert len(server.seen) == 1, "what has begun is not begun again"

    @both_ways
    @pytest.mark.parametrize("pieces", [[], [token("one")], [token("one"), b'data: {"tok']])
    def test_a_stream_without_an_end(self, server: InferenceServer, read: Reading, pieces):
        server.script(streaming(*pieces))
        outcome = read(server.url, TALK)

        assert outcome.text == "one" * (len(pieces) > 0)
        assert isinstance(outcome.error, TruncatedStreamError)
        assert f"{len(outcome.tokens)} tokens" in str(outcome.error)
        assert outcome.error.request_id == REQUEST_ID
        assert len(server.seen) == 1

    @both_ways
    @pytest.mark.parametrize(
        "event",
        [
            b"data: {\n\n", b"data: [DONE]\n\n", b"data: []\n\n", b"data: \xff\n\n",
            b'data: {"done": false}\n\n', b'data: {"token": 1, "done": false}\n\n',
            b'data: {"token": "a", "done": "no"}\n\n',
            b'data: {"token": "a", "done": false, "latency_ms": "1"}\n\n',
            b'data: {"token": "", "done": true, "usage": {"prompt_tokens": -1}}\n\n',
            b"event: error\ndata: oh\n\n", b"event: error\ndata: []\n\n",
        ],
    )  # fmt: skip
    def test_what_is_no_token(self, server: InferenceServer, read: Reading, event: bytes):
        server.script(streaming(token("one"), event, *words("two")))
        outcome = read(server.url, TALK)

        assert outcome.text == "one"
        assert isinstance(outcome.error, UnexpectedAnswerError)
        assert "OCTOMIL_API_BASE" in str(outcome.error)
        assert outcome.error.request_id == REQUEST_ID

    @both_ways
    @pytest.mark.parametrize("body", [b"<html>welcome</html>", b""])
    def test_a_page(self, server: InferenceServer, read: Reading, body: bytes):
        server.script(plainly(body, "text/html"))
        outcome = read(server.url, TALK)

        assert isinstance(outcome.error, UnexpectedAnswerError)
        assert "text/html" in str(outcome.error)

    @both_ways
    def test_an_event_that_does_not_end(self, server: InferenceServer, read: Reading):
        server.script(streaming(*[b"x" * 2**20] * 17))

        outcome = read(server.url, TALK)

        assert isinstance(outcome.error, UnexpectedAnswerError)
        assert "without ending an event" in str(outcome.error)

    @both_ways
    def test_nobody_is_there(self, read: Reading):
        with socket.create_server(("127.0.0.1", 0)) as taken:
            url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        outcome = read(url, TALK)

        assert isinstance(outcome.error, ServerUnreachableError)
        assert "`octomil up`" in str(outcome.error)

    @both_ways
    def test_a_server_that_says_nothing(self, read: Reading):
        with socket.create_server(("127.0.0.1", 0)) as silent:
            outcome = read(f"http://127.0.0.1:{silent.getsockname()[1]}", TALK, timeout_s=0.2)

        assert isinstance(outcome.error, AnswerTimeoutError)
        assert isinstance(outcome.error, TimeoutError)
        assert "0.2 s" in str(outcome.error)
        assert "timeout=" in str(outcome.error)

    @both_ways
    @pytest.mark.parametrize("first", [[], [token("one")]])
    def test_a_server_that_is_alive_and_gives_no_token(
        self, server: InferenceServer, read: Reading, first: list[bytes]
    ):
        server.script(heartbeats_for_ever(*first))

        assert isinstance(read(server.url, TALK, timeout_s=0.5).error, AnswerTimeoutError)

    @both_ways
    def test_a_stream_that_falls_silent(self, server: InferenceServer, read: Reading):
        hold = Hold()
        server.script(streaming(token("one"), hold))

        assert isinstance(read(server.url, TALK, timeout_s=0.5).error, AnswerTimeoutError)


class TestTryingAgain:
    """What fails before anything came back is tried again, and nothing else."""

    @both_ways
    @pytest.mark.parametrize("status", [408, 425, 429, 502, 503, 504])
    def test_what_may_pass(self, server: InferenceServer, read: Reading, status: int):
        server.script(*[refusing("busy", status, Retry_After="0")] * 2)

        assert read(server.url, TALK).text == TALK
        assert len(server.seen) == 3
        assert len({seen.headers["idempotency-key"] for seen in server.seen}) == 1

    @both_ways
    def test_patience_ends_with_the_servers_own_words(self, server, read: Reading):
        server.script(*[refusing("service_unavailable", 503, "loading the model")] * 3)
        outcome = read(server.url, TALK)

        assert isinstance(outcome.error, ServiceUnavailableError)
        assert "loading the model" in str(outcome.error)
        assert len(server.seen) == 3

    @both_ways
    def test_a_wait_that_would_take_too_long_is_an_error_at_once(self, server, read: Reading):
        server.script(refusing("rate_limited", 429, Retry_After="29"))
        outcome = read(server.url, TALK, timeout_s=28.0)

        assert isinstance(outcome.error, RateLimitedError)
        assert len(server.seen) == 1

    @both_ways
    def test_a_fault_of_the_servers_own_is_not(self, server: InferenceServer, read: Reading):
        server.script(refusing("internal_error", 500))

        assert isinstance(read(server.url, TALK).error, OctomilClientError)
        assert len(server.seen) == 1

    @both_ways
    def test_an_error_that_is_no_problem_of_ours(self, server: InferenceServer, read: Reading):
        server.script(plainly(b"Bad Gateway", "text/plain", 404))

        assert isinstance(read(server.url, TALK).error, UnexpectedAnswerError)


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

    def test_a_stream_that_falls_silent(self, secure: InferenceServer):
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
