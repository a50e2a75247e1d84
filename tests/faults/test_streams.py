"""Streams through a proxy that spoils them: the whole answer or an error of its own, never less.

What the server sends is recorded once; then each connection is cut, reset, held or dripped at
some byte of it, read by plain code and in an event loop.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from octomil.errors import (
    AnswerTimeoutError,
    OctomilClientError,
    ServerUnreachableError,
    TruncatedStreamError,
    UnexpectedAnswerError,
)
from octomil.http.api import ApiClient
from octomil.inference.answers import fetch_answer
from octomil.inference.embeddings import fetch_embeddings
from support.fault_proxy import Fault, FaultProxy, fault_proxy
from support.inference_server import InferenceServer, inference_server, token, words
from support.streams import AT_ONCE, READINGS, Outcome, Reading
from support.waiting import eventually

TALK = "so much depends upon a red wheel barrow"
PIECES = words(TALK)

both_ways = pytest.mark.parametrize("read", READINGS.values(), ids=READINGS)
readings = st.sampled_from(list(READINGS.values()))


@dataclass(frozen=True)
class Bench:
    """A server, and a proxy before it.

    Attributes:
        answer: the length of the server's answer, in bytes on the wire.
        body: where its body begins.
    """

    server: InferenceServer
    proxy: FaultProxy
    answer: int
    body: int

    def read(self, read: Reading, *faults: Fault, timeout_s: float = 120.0) -> Outcome:
        """Read one answer through faults; afterwards all is as it was."""
        self.server.forget()
        self.proxy.spoil(*faults)
        return read(self.proxy.url, TALK, timeout_s)


@pytest.fixture(scope="module")
def bench() -> Iterator[Bench]:
    with inference_server() as server, fault_proxy(server.url) as proxy:
        call = {"model_id": "m", "input_data": TALK}
        httpx.post(f"{proxy.url}/api/v1/inference/stream", json=call, timeout=120, verify=False)
        (length,) = eventually(lambda: proxy.passed)  # once the connection is through
        chunked = sum(len(b"%x\r\n%b\r\n" % (len(piece), piece)) for piece in PIECES) + len(
            b"0\r\n\r\n"
        )
        yield Bench(server, proxy, length, length - chunked)


def check(outcome: Outcome) -> None:
    """It is whole and right; or it is a beginning, and an error that says so."""
    assert TALK.startswith(outcome.text)
    if outcome.error is None:
        assert outcome.is_whole
        assert outcome.text == TALK
    else:
        assert isinstance(outcome.error, OctomilClientError)
        assert not any(token.done for token in outcome.tokens)


def ends_of_events(bench: Bench) -> list[int]:
    chunks = (len(b"%x\r\n%b\r\n" % (len(piece), piece)) for piece in PIECES)
    return [bench.body + end for end in accumulate(chunks)]


@settings(deadline=None, max_examples=60)
@given(data=st.data(), read=readings, then=st.sampled_from(["close", "reset"]))
def test_wherever_it_is_cut_it_is_whole_or_an_error(bench: Bench, data, read, then):
    after = data.draw(st.integers(0, bench.answer))

    outcome = bench.read(read, Fault(after, then))

    check(outcome)
    tokens_sent = sum(end <= after for end in ends_of_events(bench))
    if then == "close":  # what was sent before a reset may be lost on its way
        assert (outcome.error is None) == (len(outcome.tokens) == len(PIECES))
        # The end of a chunk need not have come for its event to be read.
        assert tokens_sent <= len(outcome.tokens) <= tokens_sent + 1
        if outcome.error is not None:
            cut_in_head = after < bench.body
            kind = ServerUnreachableError if cut_in_head else TruncatedStreamError
            assert type(outcome.error) is kind


@settings(deadline=None, max_examples=30)
@given(data=st.data(), read=readings, then=st.sampled_from(["close", "reset"]))
def test_a_connection_that_breaks_before_the_answer_is_made_again(bench, data, read, then):
    """Once the head of an answer is there, what was said is never said again."""
    after = data.draw(st.integers(0, bench.body - 1))

    outcome = bench.read(read, Fault(after, then), Fault())

    assert outcome.error is None
    assert outcome.text == TALK


@settings(deadline=None, max_examples=30)
@given(data=st.data(), read=readings, then=st.sampled_from(["close", "reset"]))
def test_what_was_begun_is_not_begun_again(bench: Bench, data, read, then):
    after = data.draw(st.integers(bench.body + len(PIECES[0]) + 6, bench.answer))

    outcome = bench.read(read, Fault(after, then), Fault())

    check(outcome)
    if outcome.tokens:
        assert len(bench.server.seen) == 1


@settings(deadline=None, max_examples=20)
@given(read=readings, piece=st.integers(1, 64))
def test_bytes_that_drip_make_the_whole_answer(bench: Bench, read, piece):
    outcome = bench.read(read, Fault(piece=piece))

    assert outcome.error is None
    assert outcome.text == TALK


def classes(bench: Bench) -> dict[str, int]:
    """A place of every kind in an answer."""
    events = ends_of_events(bench)
    return {
        "nothing": 0, "status line": 5, "headers": bench.body // 2, "last byte of the head":
        bench.body - 1, "head alone": bench.body, "size of a chunk": bench.body + 1,
        "name of a field": bench.body + 6, "JSON": bench.body + 20, "an event": events[0],
        "between the newlines": events[0] - 3, "all but the last event": events[-2],
        "in the last event": events[-1] - 10,
    }  # fmt: skip


PLACES = ["nothing", "status line", "headers", "last byte of the head", "head alone",
          "size of a chunk", "name of a field", "JSON", "an event", "between the newlines",
          "all but the last event", "in the last event"]  # fmt: skip


@both_ways
@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("then", ["close", "reset"])
def test_a_cut_at_every_kind_of_place(bench: Bench, read: Reading, place: str, then):
    outcome = bench.read(read, Fault(classes(bench)[place], then))

    check(outcome)
    assert outcome.error is not None


@both_ways
@pytest.mark.parametrize("place", ["nothing", "headers", "head alone", "JSON", "an event"])
def test_an_answer_that_stops_without_an_end_is_given_up(bench, read: Reading, place: str):
    outcome = bench.read(read, Fault(classes(bench)[place], "hold"), timeout_s=0.5)

    check(outcome)
    assert isinstance(outcome.error, AnswerTimeoutError)


@both_ways
@pytest.mark.parametrize("then", ["close", "reset", "hold"])
def test_an_end_that_lacks_only_the_end_of_its_connection_is_whole(bench, read: Reading, then):
    if then == "reset":
        then = "hold"  # a reset may overtake what was sent
    outcome = bench.read(read, Fault(bench.answer - 5, then))

    assert outcome.error is None
    assert outcome.text == TALK


GARBAGE = {
    "noise": bytes(range(256)) * 4,
    "another protocol": b"SSH-2.0-OpenSSH_9.6\r\n",
    "no status": b"HTTP/1.1 hello\r\n\r\n",
    "a head without an end": b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 50_000,
    "no chunk": b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n"
    b"transfer-encoding: chunked\r\n\r\nzz\r\nhello\r\n",
    "bytes for events": b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n\x00\xff\n\n",
    "a short body": b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n"
    b"content-length: 10000\r\n\r\n" + PIECES[0],
    "an old server's": b"HTTP/1.0 200 OK\r\ncontent-type: text/event-stream\r\n\r\n" + PIECES[0],
    "a page of a proxy": b"HTTP/1.1 502 Bad Gateway\r\ncontent-type: text/html\r\n"
    b"content-length: 6\r\n\r\n<html>",
    "packed, it says": b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n"
    b"content-encoding: gzip\r\ncontent-length: 7\r\n\r\nno gzip",
    "not to be found": b"HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\n"
    b"content-length: 0\r\n\r\n",
}


@both_ways
@pytest.mark.parametrize("kind", GARBAGE)
@pytest.mark.parametrize("piece", [None, 7])
def test_garbage_is_an_error_that_says_so(bench: Bench, read: Reading, kind: str, piece):
    outcome = bench.read(read, Fault(instead=GARBAGE[kind], piece=piece))

    assert isinstance(
        outcome.error, ServerUnreachableError | TruncatedStreamError | UnexpectedAnswerError
    )
    assert outcome.text in ("", "so")


@both_ways
@pytest.mark.parametrize("then", ["close", "hold"])
def test_a_proxy_that_is_busy_for_a_moment(bench: Bench, read: Reading, then):
    """No try goes over a connection that was refused on: it may be closed, or never heard again."""
    refusal = b"HTTP/1.1 503 Busy\r\nretry-after: 0\r\ncontent-length: 0\r\n\r\n"
    busy = Fault(then=then, instead=refusal)

    outcome = bench.read(read, busy, busy, Fault())

    assert outcome.error is None
    assert outcome.text == TALK


@settings(deadline=None, max_examples=40)
@given(data=st.data(), then=st.sampled_from(["close", "reset"]), is_text=st.booleans())
def test_a_whole_answer_is_whole_or_an_error(bench: Bench, data, then, is_text):
    fault = Fault(data.draw(st.integers(0, 400)), then, data.draw(st.sampled_from([None, 1, 9])))
    bench.server.forget()
    bench.proxy.spoil(fault)
    with ApiClient(bench.proxy.url, None, backoff=AT_ONCE) as api:
        try:
            if is_text:
                assert fetch_answer(api, "m", TALK).output == TALK
            else:
                assert fetch_embeddings(api, "m", "four").embeddings == [[4.0, 1.0]]
        except OctomilClientError as error:
            assert isinstance(error, ServerUnreachableError)  # noqa: PT017 - it need not fail


@pytest.mark.parametrize("after", [0, 20, 250])
def test_a_whole_answer_that_stops_is_given_up(bench: Bench, after: int):
    bench.proxy.spoil(Fault(after, "hold"))
    with ApiClient(bench.proxy.url, None) as api, pytest.raises(AnswerTimeoutError):
        fetch_answer(api, "m", TALK, timeout_s=0.5)


def test_the_recorded_answer_is_the_one_that_is_cut(bench: Bench):
    """Else the places above would be places of something else."""
    assert token("so") == PIECES[0]
    assert bench.read(READINGS["blocking"], Fault(bench.answer)).is_whole
    assert bench.body > len("HTTP/1.1 200 OK\r\n")
