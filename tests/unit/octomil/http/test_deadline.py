import contextlib
import math
import socket
from collections.abc import Iterator

import pytest

from octomil.errors import ConfigurationError
from octomil.http.deadline import Deadline, Watchdog
from support.manual_clock import ManualClock
from support.waiting import PATIENCE_S


class Stream:
    """A connection as httpx shows it."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection

    def get_extra_info(self, name: str) -> socket.socket:
        assert name == "socket"
        return self._connection


@contextlib.contextmanager
def connection() -> Iterator[tuple[socket.socket, socket.socket]]:
    here, there = socket.socketpair()
    with here, there:
        here.settimeout(PATIENCE_S)
        yield here, there


def test_time_runs_out_unless_it_is_begun_anew():
    now = ManualClock(0.0)
    deadline = Deadline(10.0, clock=now)
    now.now_s = 9.0
    assert (deadline.left_s, deadline.is_over) == (1.0, False)
    deadline.renew()
    now.now_s = 18.0
    assert deadline.left_s == 1.0
    now.now_s = 19.0

    assert (deadline.left_s, deadline.is_over) == (0.0, True)


def test_no_time_runs_in_a_pause():
    now = ManualClock(0.0)
    deadline = Deadline(10.0, clock=now)
    deadline.pause()
    now.now_s = 1000.0
    assert (deadline.left_s, deadline.is_over) == (math.inf, False)
    deadline.renew()

    assert deadline.left_s == 10.0


@pytest.mark.parametrize("timeout", [0, -1, math.nan, math.inf, 1e9])
def test_what_is_no_time_to_wait_is_refused(timeout: float):
    with pytest.raises(ConfigurationError, match="timeout="):
        Deadline(timeout)


def test_a_read_that_blocks_ends_when_the_time_is_over():
    with connection() as (here, _), Watchdog(Deadline(0.01)) as watchdog:
        watchdog.guard(Stream(here))

        assert here.recv(1) == b""


def test_a_connection_that_is_made_too_late_ends_at_once():
    with connection() as (first, _), connection() as (late, _), Watchdog(Deadline(0.01)) as dog:
        dog.guard(Stream(first))
        assert first.recv(1) == b""
        dog.trace("connection.connect_tcp.complete", {"return_value": Stream(late)})

        assert late.recv(1) == b""


def test_a_connection_that_was_let_go_stays_open():
    watchdog = Watchdog(Deadline(0.01))
    with connection() as (kept, other), connection() as (ended, _):
        watchdog.guard(Stream(kept))
        watchdog.release()
        watchdog.guard(Stream(ended))
        with watchdog:
            assert ended.recv(1) == b""
            other.send(b"x")

            assert kept.recv(1) == b"x"


def test_what_else_httpx_tells_of_is_no_connection():
    with Watchdog(Deadline(60.0)) as watchdog:
        watchdog.trace("http11.send_request_headers.started", {"request": object()})
        watchdog.trace("http11.receive_response_headers.complete", {"return_value": (b"1.1", 200)})

        assert watchdog._socket is None
