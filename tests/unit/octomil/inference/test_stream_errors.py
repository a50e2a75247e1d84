"""Streams of tokens from a real server that go wrong, and what is tried again."""

import socket

import pytest

from octomil.errors import (
    AnswerTimeoutError,
    ForbiddenError,
    OctomilClientError,
    RateLimitedError,
    ServerUnreachableError,
    ServiceUnavailableError,
    TruncatedStreamError,
    UnexpectedAnswerError,
)
from support.inference_server import (
    REQUEST_ID,
    Hold,
    InferenceServer,
    error_event,
    heartbeats_for_ever,
    plainly,
    refusing,
    streaming,
    token,
    words,
)
from support.streams import READINGS, Reading

TALK = "the quick brown fox"

both_ways = pytest.mark.parametrize("read", READINGS.values(), ids=READINGS)


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
