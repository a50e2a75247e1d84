"""Events on their way: none is waited for, and none is lost without being counted."""

import json
import math
import os
import subprocess
import sys
from collections.abc import Sequence
from threading import Event as Signal
from typing import Any

import pytest

from octomil.errors import (
    ForbiddenError,
    OctomilClientError,
    RateLimitedError,
    ServerUnreachableError,
    ServiceUnavailableError,
    UnprocessableError,
)
from octomil.http.retry import Backoff
from octomil.inference.event_reporter import EventReporter, ReportCounts
from support.waiting import PATIENCE_S, eventually

AT_ONCE = Backoff(attempts=4, first_s=0.0, longest_s=0.0)
NEVER = Backoff(attempts=4, first_s=1e6, longest_s=1e6)


def numbers_of(events: Sequence[bytes]) -> list[Any]:
    return [json.loads(event)["n"] for event in events]


class Receiver:
    """Where events go: it fails as it is told to, and may keep the sender waiting."""

    def __init__(self, *failures: Exception, is_open: bool = True) -> None:
        self.failures = list(failures)
        self.batches: list[list[Any]] = []
        self.asked = Signal()
        self.open = Signal()
        if is_open:
            self.open.set()

    def __call__(self, events: Sequence[bytes]) -> None:
        self.asked.set()
        assert self.open.wait(PATIENCE_S)
        if self.failures:
            raise self.failures.pop(0)
        self.batches.append(numbers_of(events))

    @property
    def numbers(self) -> list[int]:
        return [number for batch in self.batches for number in batch]


class Particular(Receiver):
    """Takes no batch that has the event 3 in it."""

    def __call__(self, events: Sequence[bytes]) -> None:
        if 3 in numbers_of(events):
            raise UnprocessableError("3 makes no sense")
        super().__call__(events)


def reporter(receiver: Receiver, **options: Any) -> EventReporter:
    return EventReporter(receiver, **{"linger_s": 0.0, "backoff": AT_ONCE, **options})


def put(made: EventReporter, numbers: range) -> None:
    for number in numbers:
        made.put({"n": number})


def test_events_arrive_in_their_order_several_at_once():
    receiver = Receiver(is_open=False)
    made = reporter(receiver, at_once=3)
    put(made, range(1))
    assert receiver.asked.wait(PATIENCE_S)
    put(made, range(1, 8))  # while the first is under way
    receiver.open.set()

    assert made.close(PATIENCE_S)
    assert receiver.batches == [[0], [1, 2, 3], [4, 5, 6], [7]]
    assert made.counts == ReportCounts(sent=8)


def test_the_first_lingers_for_others_unless_there_is_a_hurry():
    receiver = Receiver()
    made = reporter(receiver, linger_s=1e6)
    put(made, range(5))

    assert made.flush(PATIENCE_S)
    assert receiver.batches == [[0, 1, 2, 3, 4]]
    assert made.close(PATIENCE_S)


@pytest.mark.parametrize(
    "failure",
    [
        ServerUnreachableError("nobody there"),
        ServiceUnavailableError("not now"),
        RateLimitedError("too often", {"retry_after_s": 0}),
        RateLimitedError("too often, and says a word", {"retry_after_s": "soon"}),
        OctomilClientError("garbage"),
    ],
)
def test_what_fails_for_now_is_sent_again_and_keeps_its_order(failure: Exception):
    receiver = Receiver(*[failure] * 50)
    made = reporter(receiver)
    put(made, range(3))

    assert made.close(PATIENCE_S)
    assert receiver.numbers == [0, 1, 2]
    assert made.counts == ReportCounts(sent=3)


def test_of_too_many_that_wait_the_oldest_are_dropped_and_counted():
    receiver = Receiver(is_open=False)
    made = reporter(receiver, capacity=3)
    put(made, range(1))
    assert receiver.asked.wait(PATIENCE_S)
    put(made, range(1, 10))

    assert made.counts == ReportCounts(waiting=3, dropped=7)
    receiver.open.set()
    assert made.close(PATIENCE_S)
    assert receiver.numbers == [0, 8, 9]
    assert made.counts == ReportCounts(sent=3, dropped=7)


def test_what_is_refused_for_what_it_says_is_found_and_the_rest_arrives():
    receiver = Particular()
    made = reporter(receiver, linger_s=1e6)
    put(made, range(8))

    assert made.close(PATIENCE_S)
    assert receiver.numbers == [0, 1, 2, 4, 5, 6, 7]
    assert made.counts == ReportCounts(sent=7, refused=1)


def test_a_refusal_of_the_key_is_not_argued_with():
    receiver = Receiver(ForbiddenError("no"))
    made = reporter(receiver, linger_s=1e6)
    put(made, range(8))

    assert made.close(PATIENCE_S)
    assert made.counts == ReportCounts(refused=8)


def test_a_fault_of_ours_costs_its_events_and_no_later_ones(caplog: pytest.LogCaptureFixture):
    receiver = Receiver(TypeError("no such argument"))
    made = reporter(receiver)
    put(made, range(1))
    assert made.flush(PATIENCE_S)
    put(made, range(1, 2))

    assert made.close(PATIENCE_S)
    assert made.counts == ReportCounts(sent=1, refused=1)
    assert "cannot be sent" in caplog.text


def test_an_event_that_is_no_json_costs_itself_alone(caplog: pytest.LogCaptureFixture):
    receiver = Receiver()
    made = reporter(receiver, linger_s=1e6)
    circle: dict[str, Any] = {}
    circle["n"] = circle
    for unfit in ({"n": object()}, {"n": math.nan}, {"n": {1, 2}}, circle):
        put(made, range(2))
        made.put(unfit)

    assert made.close(PATIENCE_S)
    assert receiver.batches == [[0, 1] * 4]
    assert made.counts == ReportCounts(sent=8, refused=4)
    assert caplog.text.count("an event cannot be sent") == 4


def test_an_event_is_sent_as_it_was_when_it_was_put():
    receiver = Receiver()
    made = reporter(receiver, linger_s=1e6)
    event = {"n": 1}
    made.put(event)
    event["n"] = 2

    assert made.close(PATIENCE_S)
    assert receiver.numbers == [1]


def test_closing_has_a_bound_and_counts_what_is_left():
    receiver = Receiver(is_open=False)
    made = reporter(receiver, at_once=1)
    put(made, range(3))
    assert receiver.asked.wait(PATIENCE_S)

    assert not made.close(timeout_s=0.01)
    assert made.counts == ReportCounts(dropped=3)
    receiver.open.set()
    put(made, range(3, 4))
    assert made.close(PATIENCE_S)
    assert made.counts == ReportCounts(dropped=4)


def test_who_is_in_a_hurry_does_not_wait_for_the_next_try():
    receiver = Receiver(ServerUnreachableError("nobody there"))
    made = reporter(receiver, backoff=NEVER)
    put(made, range(1))
    assert eventually(lambda: made.flush(0.05))
    assert receiver.numbers == [0]
    assert made.close(PATIENCE_S)


FORKED = f"""
import os, signal, threading
from octomil.inference.event_reporter import EventReporter

def tell(events):
    os.write(1, b"".join(event + b"\\n" for event in events))

reporter = EventReporter(tell, linger_s=1e6)
reporter.put({{"n": "parent"}})
is_held, is_over = threading.Event(), threading.Event()

def hold():  # as a thread that is in the middle of `put`
    with reporter._change:
        is_held.set()
        is_over.wait()

threading.Thread(target=hold).start()
is_held.wait()
child = os.fork()
if not child:
    signal.alarm({PATIENCE_S:.0f})
    reporter.put({{"n": "child"}})
    os._exit(not reporter.close({PATIENCE_S}))
is_failed = os.waitpid(child, 0)[1]
is_over.set()
raise SystemExit(bool(is_failed or not reporter.close({PATIENCE_S})))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_forked_process_sends_its_own_events_whatever_was_under_way():
    ran = subprocess.run([sys.executable, "-c", FORKED], capture_output=True, check=False)

    assert ran.returncode == 0, ran.stderr.decode()
    assert numbers_of(ran.stdout.splitlines()) == ["child", "parent"]


def test_one_that_retires_sends_what_waits_and_ends():
    receiver = Receiver()
    made = reporter(receiver, linger_s=1e6)
    put(made, range(3))
    made.retire()
    put(made, range(3, 4))

    assert eventually(lambda: made.counts == ReportCounts(sent=3, dropped=1))
    assert receiver.numbers == [0, 1, 2]


def test_one_that_retires_does_not_try_for_ever():
    made = reporter(Receiver(*[ServerUnreachableError("nobody there")] * 50), backoff=NEVER)
    put(made, range(3))
    made.retire()

    assert eventually(lambda: made.counts == ReportCounts(dropped=3))


def test_nothing_to_send_begins_no_thread():
    made = reporter(Receiver())

    assert made.flush(0)
    assert made.close(0)
    assert made.counts == ReportCounts()
