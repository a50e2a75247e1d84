"""The breakers in front of engines, with a clock of the test's own."""

from asyncio import CancelledError

import pytest

from epochly.inference.breaker import BreakerState
from octomil.errors import (
    ContextLengthError,
    EngineCrashedError,
    EngineUnavailableError,
    GenerationError,
    QueueFullError,
    SpendCapReachedError,
)
from octomil.serve.breakers import POLICY, Breakers
from octomil.serve.escalation import LowConfidenceError
from support.manual_clock import ManualClock

TO_OPEN = POLICY.failure_threshold
LONGEST_RECOVERY_S = POLICY.recovery_timeout_s * (1 + POLICY.jitter)


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
def breakers(clock):
    return Breakers(clock=clock)


def fail(breakers, error=None, *, times=1):
    error = error or GenerationError("lost")
    for _ in range(times):
        with pytest.raises(type(error)), breakers.call("m"):
            raise error


@pytest.mark.parametrize(
    "error",
    [EngineUnavailableError("down"), EngineCrashedError("dead"), GenerationError("lost")],
)
def test_faults_of_the_engine_open_the_breaker(breakers, error):
    fail(breakers, error, times=TO_OPEN)

    assert not breakers.admits("m")
    with pytest.raises(EngineUnavailableError, match="consecutive failures") as refused:
        breakers.require("m")
    assert 0 < refused.value.retry_after_s <= LONGEST_RECOVERY_S


@pytest.mark.parametrize(
    "error",
    [
        ContextLengthError("too long"),
        LowConfidenceError("unsure"),
        QueueFullError("full"),
        SpendCapReachedError("too dear"),
        CancelledError(),
        ZeroDivisionError("ours"),
    ],
)
def test_what_says_nothing_about_the_engine_does_not(breakers, error):
    fail(breakers, error, times=3 * TO_OPEN)

    assert breakers.admits("m")


def test_success_in_between_keeps_the_breaker_closed(breakers):
    for _ in range(3):
        fail(breakers, times=TO_OPEN - 1)
        with breakers.call("m"):
            pass

    assert breakers.admits("m")


def test_each_model_has_its_own(breakers):
    fail(breakers, times=TO_OPEN)

    assert breakers.admits("other")


def test_engine_that_is_well_again_is_asked_again_after_a_while(breakers, clock):
    fail(breakers, times=TO_OPEN)
    clock.advance(LONGEST_RECOVERY_S)

    with breakers.call("m"):
        assert breakers.state("m") is BreakerState.HALF_OPEN
        second = breakers.call("m")
        with pytest.raises(EngineUnavailableError):
            second.__enter__()
    with breakers.call("m"):
        pass

    assert breakers.state("m") is BreakerState.CLOSED


def test_first_words_of_a_probe_let_the_others_in(breakers, clock):
    fail(breakers, times=TO_OPEN)
    clock.advance(LONGEST_RECOVERY_S)

    with breakers.call("m") as probe:
        assert probe.is_probe
        probe.answered()

        assert breakers.state("m") is BreakerState.CLOSED
        with breakers.call("m"):
            pass


def test_call_that_fails_after_its_first_words_counts(breakers, clock):
    fail(breakers, times=TO_OPEN)
    clock.advance(LONGEST_RECOVERY_S)

    probe = breakers.call("m").__enter__()
    probe.answered()
    probe.__exit__(GenerationError, GenerationError("lost"), None)
    fail(breakers, times=TO_OPEN - 1)

    assert not breakers.admits("m")


def test_engine_that_was_brought_back_is_asked_at_once(breakers):
    fail(breakers, times=TO_OPEN)

    breakers.engine_is_ready("m")

    assert breakers.admits("m")
    fail(breakers, times=TO_OPEN - 1)
    assert breakers.admits("m")


def test_engine_that_gets_ready_for_the_first_time_is_no_transition(breakers):
    breakers.engine_is_ready("m")

    assert breakers.transitions.collect() == []


def test_transitions_are_counted(breakers, clock):
    fail(breakers, times=TO_OPEN)
    clock.advance(LONGEST_RECOVERY_S)
    with breakers.call("m"):
        pass

    assert dict(breakers.transitions.collect()) == {
        ("m", "open"): 1,
        ("m", "half_open"): 1,
        ("m", "closed"): 1,
    }
