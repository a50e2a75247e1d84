"""Deadlines of calls over a client that has been in use, where a server keeps connections."""

import contextlib
import socket
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from threading import Event, Thread
from time import monotonic
from typing import Any

import pytest

from octomil.errors import AnswerTimeoutError, ServiceUnavailableError
from octomil.http.api import ApiClient
from octomil.http.deadline import Deadline
from octomil.http.exchange import Request
from support.waiting import PATIENCE_S

LONG_S = 100_000.0
DRIP_S = 0.05

Answering = Callable[[socket.socket], None]


def whole(status: str, body: bytes, *headers: str) -> Answering:
    """Answer at once and keep the connection."""
    head = [f"HTTP/1.1 {status}", "Content-Type: application/json", *headers]
    head.append(f"Content-Length: {len(body)}")
    answer = "\r\n".join([*head, "", ""]).encode() + body
    return lambda connection: connection.sendall(answer)


def dripping_headers(connection: socket.socket) -> None:
    """Send a header line, letter by letter, for as long as anybody listens."""
    connection.sendall(b"HTTP/1.1 200 OK\r\nX-Drip: ")
    never = Event()
    while not never.wait(DRIP_S):
        connection.sendall(b"x")


def silent(connection: socket.socket) -> None:
    """Say nothing until the client leaves."""
    connection.recv(1)


GREETING = whole("200 OK", b'{"said": "hello"}')
BUSY = whole(
    "503 Service Unavailable",
    b'{"error": "service_unavailable", "message": "not now", "status_code": 503}',
    "Retry-After: 0",
)


@contextlib.contextmanager
def answering(script: Sequence[Answering]) -> Iterator[str]:
    """A server that gives requests these answers, in order, on whatever connection they come."""
    answers = iter(script)

    def talk(connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            while _has_request(connection):
                next(answers)(connection)

    def accept(listening: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                Thread(target=talk, args=[listening.accept()[0]], daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = Thread(target=accept, args=[listening], daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        listening.shutdown(socket.SHUT_RDWR)
        thread.join(PATIENCE_S)


def _has_request(connection: socket.socket) -> bool:
    """Read a request whose body is an empty object; return False once the client has left."""
    said = b""
    while not said.endswith(b"\r\n\r\n{}"):
        if not (more := connection.recv(65_536)):
            return False
        said += more
    return True


def asking(deadline: Deadline) -> Request:
    return Request(method="POST", path="/embeddings", json={}, deadline=deadline)


def nearly_over(left_s: float = 0.5) -> Deadline:
    """A deadline that is all but over, of so long a time that nothing else can end a read."""
    passed = [0.0]
    deadline = Deadline(LONG_S, clock=lambda: monotonic() + passed[0])
    passed[0] = LONG_S - left_s
    return deadline


def outcome_of(call: Callable[[], Any]) -> Any:
    """Return what a call returns or raises, if it ends at all."""
    ended: Future[Any] = Future()

    def run() -> None:
        try:
            ended.set_result(call())
        except BaseException as error:  # noqa: BLE001 - the test looks at it
            ended.set_exception(error)

    Thread(target=run, daemon=True).start()
    return ended.result(PATIENCE_S)


@pytest.mark.parametrize("stalling", [silent, dripping_headers])
def test_a_second_try_has_the_time_that_the_first_one_left(stalling: Answering):
    with (
        answering([BUSY, stalling]) as url,
        ApiClient(url, None) as api,
        # The latter where half a second is too short for the first try.
        pytest.raises((AnswerTimeoutError, ServiceUnavailableError)),
    ):
        outcome_of(lambda: api.send(asking(nearly_over())))


@pytest.mark.parametrize("stalling", [silent, dripping_headers])
def test_a_client_that_was_used_before_keeps_to_its_deadline(stalling: Answering):
    with answering([GREETING, stalling]) as url, ApiClient(url, None) as api:
        assert api.call(asking(Deadline(PATIENCE_S))).said == "hello"

        with pytest.raises(AnswerTimeoutError):
            outcome_of(lambda: api.send(asking(nearly_over())))


def test_a_connection_of_a_call_with_a_deadline_is_nobody_elses():
    """So that what ends one call cannot end another."""
    with answering([GREETING] * 3) as url, ApiClient(url, None) as api:
        ports = [_port_of(api.send(asking(Deadline(PATIENCE_S)))) for _ in range(2)]
        ports.append(_port_of(api.send(Request(method="POST", path="/embeddings", json={}))))

    assert ports == [None] * 2 + ports[2:]
    assert ports[2] is not None


def _port_of(answer: Any) -> int | None:
    """Return the port that an answer came to; None if its connection was closed with it."""
    connection = answer.extensions["network_stream"].get_extra_info("socket")
    return connection.getsockname()[1] if connection.fileno() >= 0 else None
