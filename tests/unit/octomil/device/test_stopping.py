"""Telling a loop to stop, also from a handler of signals."""

import sys
import threading
from itertools import count

from octomil.device.stopping import Stop, stop_after
from support.waiting import PATIENCE_S


def waits_interrupted_at(step: int, interrupted: list[int]) -> None:
    """Wait, and set what is waited for from within, as a signal's handler does, at one line."""
    stop, lines = Stop(), count()

    def trace(*_: object) -> object:
        if next(lines) == step:
            interrupted.append(step)
            stop.set()
        return trace

    sys.settrace(trace)
    try:
        stop.wait(0)
    finally:
        sys.settrace(None)


def test_a_signal_may_interrupt_the_wait_anywhere():
    interrupted: list[int] = []

    def wait_until_no_line_is_left() -> None:
        for step in count():
            waits_interrupted_at(step, interrupted)
            if len(interrupted) == step:
                return

    waits = threading.Thread(target=wait_until_no_line_is_left, daemon=True)
    waits.start()
    waits.join(PATIENCE_S)

    assert not waits.is_alive(), f"hangs where it was interrupted, {interrupted[-1]} lines in"
    assert len(interrupted) > 10


def test_who_waits_is_told_by_another_thread():
    stop = Stop()
    told: list[bool] = []
    waits = threading.Thread(target=lambda: told.append(stop.wait()))
    waits.start()
    stop.set()
    waits.join(PATIENCE_S)

    assert told == [True]
    assert stop.wait()  # at once, from now on


def test_nobody_is_told_when_the_time_is_over():
    stop = Stop()

    assert not stop.wait(0)
    assert not stop.is_set()


def test_after_a_while_it_is_told_by_itself():
    with stop_after(0) as stop:
        assert stop.wait(PATIENCE_S)
    with stop_after(10 * PATIENCE_S) as stop:
        assert not stop.is_set()
