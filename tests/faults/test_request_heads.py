"""What comes before a request's body has limits too, in size and in time, and needs no key."""

import json
import re
from collections.abc import Iterator

import pytest

from support.caller import CHAT, Caller, head
from support.nodes import chat
from support.serving import ServeProcess, serving
from support.upstream import Answer, FakeUpstream, Gate, completion, fake_upstream

KIB = 1024
LIMIT = 64 * KIB
GET = b"GET /v1/models HTTP/1.1\r\nHost: localhost\r\n"
HALF = GET + b"X-Half: "
CHUNKED = (
    b"POST %b HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n" % CHAT.encode()
)
MOST_ACCEPTED = 32 * KIB * KIB  # what the buffers of both sockets may take in, and more


@pytest.fixture(scope="module")
def upstream() -> Iterator[FakeUpstream]:
    with fake_upstream() as upstream:
        yield upstream


@pytest.fixture(scope="module")
def impatient(upstream: FakeUpstream) -> Iterator[ServeProcess]:
    """A node that gives a request a second to arrive."""
    with serving("openai:small", "--body-timeout", "1", env=upstream.env) as served:
        yield served


def refusal(caller: Caller, status: int) -> dict[str, str]:
    """Check that a request was refused in OpenAI's form, and the connection closed."""
    response = caller.response()
    assert response.status == status
    assert response.getheader("Connection") == "close"
    error = json.loads(response.read())["error"]
    assert error["type"] == "invalid_request_error"
    assert caller.is_hung_up()
    return error


def padded(size: int) -> bytes:
    """A whole head of `size` bytes."""
    return HALF + b"x" * (size - len(HALF) - 4) + b"\r\n\r\n"


# ---- size ----


def test_head_as_large_as_allowed_is_read_and_one_byte_more_is_not(echo_server):
    with Caller(echo_server.url) as caller:
        caller.send(padded(LIMIT))
        response = caller.response()
        response.read()
        assert response.status == 200

        caller.send(padded(LIMIT + 1))
        error = refusal(caller, 431)

    assert error["code"] == "request_headers_too_large"
    assert error["message"] == "the request line and headers are larger than 64 KiB"


@pytest.mark.parametrize(
    "text",
    [GET + b"X-Small: 1\r\n" * 6000, b"GET /" + b"x" * 70_000, GET + b"X" * 70_000],
    ids=["many", "path", "name"],
)
def test_head_may_not_be_long_in_any_of_its_parts(echo_server, text):
    with Caller(echo_server.url) as caller:
        caller.send(text)

        assert refusal(caller, 431)["code"] == "request_headers_too_large"


@pytest.mark.parametrize(
    "start",
    [
        HALF,
        CHUNKED + b"5\r\n     \r\n0\r\nX-Trailer: ",
        GET + b"\r\n" + HALF,
        GET + b"Content-Length: 9999999\r\n\r\n" + b"x" * 9_999_999 + HALF,
        b"\r\n",
    ],
    ids=["header", "trailer", "pipelined", "after a body", "line breaks"],
)
def test_what_never_ends_is_not_read_for_ever(echo_server, start):
    piece = b"\r\n" * (32 * KIB) if start == b"\r\n" else b"x" * LIMIT
    accepted = 0
    with Caller(echo_server.url) as caller:
        caller.send(start)
        try:
            while accepted < MOST_ACCEPTED:
                caller.send(piece)
                accepted += len(piece)
        except (BrokenPipeError, ConnectionResetError):
            pass

    assert accepted < MOST_ACCEPTED
    assert echo_server.chat("Hello").status_code == 200


def test_refusal_comes_before_the_key_is_asked_for():
    with serving("echo", "--api-key", "secret") as served, Caller(served.url) as caller:
        caller.send(padded(LIMIT + 1))

        assert refusal(caller, 431)["code"] == "request_headers_too_large"


# ---- time ----


@pytest.mark.parametrize("start", [HALF, b"G", b"\r\n"])
def test_head_that_does_not_come_is_cut_off_with_a_408(impatient, start):
    with Caller(impatient.url) as caller:
        caller.send(start)

        error = refusal(caller, 408)

    assert error["code"] == "request_timeout"
    assert error["message"] == "the headers did not arrive within 1 s"


def test_head_that_trickles_is_cut_off_as_well(impatient):
    with Caller(impatient.url) as caller:
        caller.send(HALF)
        caller.trickle(b"x")

        assert refusal(caller, 408)["code"] == "request_timeout"


def test_connection_that_never_says_anything_is_closed_without_a_word(impatient):
    with Caller(impatient.url) as caller:
        assert caller.is_hung_up()


@pytest.mark.parametrize("start", [HALF, b"\r\n"])
def test_second_request_of_a_connection_has_no_more_time(impatient, start):
    with Caller(impatient.url) as caller:
        caller.send(GET + b"\r\n")
        assert caller.response().read()
        caller.send(start)

        assert refusal(caller, 408)["code"] == "request_timeout"


def test_body_nobody_waits_for_has_no_more_time_either(impatient):
    with Caller(impatient.url) as caller:
        caller.send(GET + b"Content-Length: 100\r\n\r\n")
        assert caller.response().read()
        caller.send(b"x")

        assert caller.is_hung_up()


def test_idle_connection_outlives_the_time_a_head_may_take(impatient):
    with Caller(impatient.url) as idle:
        idle.send(GET + b"\r\n")
        assert idle.response().read()
        with Caller(impatient.url) as silent:
            assert silent.is_hung_up()

        idle.send(GET + b"\r\n")

        assert idle.response().status == 200


def test_request_at_work_outlives_the_time_a_head_may_take(impatient, upstream):
    gate = Gate()
    upstream.script("small", Answer([completion("at last")], hold=gate))
    with Caller(impatient.url) as caller:
        caller.ask(chat("Hello"))
        gate.await_waiting()
        with Caller(impatient.url) as silent:
            assert silent.is_hung_up()
        gate.open()

        assert caller.response().status == 200


# ---- whatever is well-formed ----


def test_pipelined_requests_are_answered_in_their_order(echo_server):
    bodies = [json.dumps(chat(f"Number {n}", model="small")).encode() for n in range(5)]
    requests = [head(CHAT, len(body)) + body for body in bodies]
    with Caller(echo_server.url) as caller:
        caller.send(b"".join(requests) + GET + b"Connection: close\r\n\r\n")
        with caller.socket.makefile("rb") as answers:
            text = answers.read().decode()

    assert text.count("HTTP/1.1 200 OK") == 6
    assert re.findall(r'"content":"(Number \d)"', text) == [f"Number {n}" for n in range(5)]


def test_request_may_come_in_any_pieces(echo_server):
    body = json.dumps(chat("Hello", model="small")).encode()
    whole = head(CHAT, len(body)) + body
    with Caller(echo_server.url) as caller:
        for cut in range(1, len(whole)):
            caller.send(whole[:cut])
            caller.send(whole[cut:])
            response = caller.response()
            assert response.status == 200
            response.read()


def test_chunked_body_with_a_trailer_is_read(echo_server):
    body = json.dumps(chat("Hello", model="small")).encode()
    chunks = b"".join(b"1\r\n%c\r\n" % byte for byte in body)
    with Caller(echo_server.url) as caller:
        caller.send(CHUNKED + chunks + b"0\r\nX-Trailer: done\r\n\r\n")

        assert caller.response().status == 200
