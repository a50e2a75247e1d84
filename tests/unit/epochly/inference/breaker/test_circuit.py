import logging

import pytest

from epochly.inference.breaker import BreakerPolicy, BreakerState, CircuitBreaker, Transition
from support.manual_clock import ManualClock

CLOSED, OPEN, HALF_OPEN = BreakerState.CLOSED, BreakerState.OPEN, BreakerState.HALF_OPEN
FORCED_OPEN, DISABLED = BreakerState.FORCED_OPEN, BreakerState.DISABLED


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


def breaker_at(clock: ManualClock, **policy) -> CircuitBreaker:
    """A breaker that opens on one failure and waits 10 s without jitter."""
    thresholds = {"failure_threshold": 1, "recovery_timeout_s": 10.0, "jitter": 0.0} | policy
    return CircuitBreaker("model", BreakerPolicy(**thresholds), clock=clock)


def fail(breaker: CircuitBreaker) -> None:
    permit = breaker.allow()
    assert permit is not None
    breaker.record_failure(permit, "boom")


def succeed(breaker: CircuitBreaker) -> None:
    permit = breaker.allow()
    assert permit is not None
    breaker.record_success(permit)


def half_open(clock: ManualClock, **policy) -> CircuitBreaker:
    breaker = breaker_at(clock, **policy)
    breaker.trip("wrong answer")
    clock.advance(10)
    assert breaker.state is HALF_OPEN
    return breaker


def test_a_new_breaker_is_closed_and_admits():
    breaker = CircuitBreaker()

    permit = breaker.allow()

    assert permit is not None
    assert not permit.is_probe
    assert breaker.state is CLOSED
    assert breaker.policy == BreakerPolicy()
    assert breaker.name == ""


def test_it_opens_on_repeated_failures_probes_and_closes_on_success(clock):
    breaker = breaker_at(clock, failure_threshold=3)
    for _ in range(3):
        assert breaker.state is CLOSED
        fail(breaker)
    assert breaker.state is OPEN
    assert breaker.allow() is None

    clock.advance(9.999)
    assert breaker.allow() is None
    clock.advance(0.001)
    probe = breaker.allow()
    assert probe is not None
    assert probe.is_probe
    breaker.record_success(probe)

    assert breaker.state is CLOSED
    succeed(breaker)


def test_a_success_breaks_the_row(clock):
    breaker = breaker_at(clock, failure_threshold=2)
    for _ in range(10):
        fail(breaker)
        succeed(breaker)

    assert breaker.state is CLOSED
    assert breaker.snapshot().consecutive_failures == 0


def test_the_rate_looks_at_the_window_only(clock):
    breaker = breaker_at(
        clock, failure_threshold=None, failure_rate=0.5, window_calls=4, minimum_calls=4
    )
    for _ in range(100):
        succeed(breaker)
    fail(breaker)
    assert breaker.state is CLOSED
    fail(breaker)

    assert breaker.state is OPEN
    assert breaker.snapshot().reason == "2 of the last 4 calls failed"


def test_half_open_admits_so_many_probes_and_no_more(clock):
    breaker = half_open(clock, half_open_probes=3)

    admitted = [breaker.allow() for _ in range(50)]
    probes = [permit for permit in admitted if permit is not None]

    assert len(probes) == 3
    for probe in probes[:2]:
        breaker.record_success(probe)
    assert breaker.allow() is None  # a success makes no room: it is N in total, not N at once
    assert breaker.state is HALF_OPEN
    breaker.record_success(probes[2])
    assert breaker.state is CLOSED


def test_a_released_probe_gives_its_place_back(clock):
    breaker = half_open(clock)
    probe = breaker.allow()
    assert breaker.allow() is None

    breaker.release(probe)
    second = breaker.allow()

    assert second is not None
    breaker.record_success(probe)  # it has no say any more
    assert breaker.state is HALF_OPEN
    breaker.record_success(second)
    assert breaker.state is CLOSED


def test_recording_a_probe_twice_counts_once(clock):
    breaker = half_open(clock, half_open_probes=2)
    probe = breaker.allow()
    breaker.record_success(probe)
    breaker.record_success(probe)

    assert breaker.state is HALF_OPEN


def test_a_failed_probe_opens_again_for_twice_as_long(clock):
    breaker = half_open(clock, max_recovery_timeout_s=35)
    waits = []
    for _ in range(4):
        fail(breaker)
        waits.append(breaker.snapshot().retry_after_s)
        clock.advance(waits[-1])

    assert waits == [20, 35, 35, 35]
    assert breaker.snapshot().reason == "the recovery time is over"


def test_a_probe_that_never_returns_counts_as_failed(clock):
    breaker = half_open(clock, half_open_probes=2, probe_timeout_s=5)
    lost = breaker.allow()
    clock.advance(4)
    breaker.allow()
    assert breaker.snapshot().probes_in_flight == 2
    clock.advance(1)

    assert breaker.state is OPEN
    assert breaker.snapshot().reason == "a probe did not return within 5 s"
    breaker.record_success(lost)
    assert breaker.state is OPEN
    assert breaker.snapshot().retry_after_s == 20


def test_a_closed_breaker_that_soon_fails_again_waits_longer(clock):
    breaker = half_open(clock)
    succeed(breaker)
    assert breaker.state is CLOSED
    clock.advance(9)
    fail(breaker)
    assert breaker.snapshot().retry_after_s == 20

    clock.advance(20)
    succeed(breaker)
    clock.advance(20)
    fail(breaker)
    assert breaker.snapshot().retry_after_s == 10


def test_outcomes_of_an_earlier_generation_are_ignored(clock):
    breaker = breaker_at(clock)
    late_failure, late_success = breaker.allow(), breaker.allow()
    fail(breaker)
    clock.advance(10)
    probe = breaker.allow()

    breaker.record_success(late_success)
    assert breaker.state is HALF_OPEN
    breaker.record_success(probe)
    breaker.record_failure(late_failure)

    snapshot = breaker.snapshot()
    assert snapshot.state is CLOSED
    assert snapshot.window_calls == 0


def test_jitter_is_drawn_from_the_given_source(clock):
    policy = BreakerPolicy(recovery_timeout_s=10, jitter=0.2)
    breaker = CircuitBreaker("m", policy, clock=clock, random=lambda: 1.0)

    breaker.trip("test")

    assert breaker.snapshot().retry_after_s == pytest.approx(12)


def test_trip_opens_at_once_and_restarts_the_wait(clock):
    breaker = breaker_at(clock, failure_threshold=50)
    breaker.trip("a wrong answer")
    clock.advance(6)
    breaker.trip("another one")

    snapshot = breaker.snapshot()
    assert (snapshot.state, snapshot.reason) == (OPEN, "another one")
    assert (snapshot.retry_after_s, snapshot.reopenings) == (10, 0)


def test_forced_open_admits_nothing_until_reset(clock):
    breaker = breaker_at(clock)
    breaker.force_open("maintenance")
    clock.advance(1e9)
    breaker.trip("ignored")

    assert breaker.state is FORCED_OPEN
    assert breaker.allow() is None
    assert breaker.snapshot().retry_after_s is None
    assert breaker.snapshot().reason == "maintenance"
    breaker.reset()
    assert breaker.state is CLOSED


def test_a_disabled_breaker_admits_all_and_still_observes(clock):
    breaker = breaker_at(clock)
    breaker.disable("load test")
    for _ in range(7):
        fail(breaker)
    breaker.trip("ignored")

    snapshot = breaker.snapshot()
    assert (snapshot.state, snapshot.reason) == (DISABLED, "load test")
    assert (snapshot.window_failures, snapshot.retry_after_s) == (7, 0)
    breaker.reset("done")
    assert breaker.snapshot().window_calls == 0
    assert breaker.snapshot().reason == "done"
    fail(breaker)
    assert breaker.state is OPEN


def test_reset_forgets_how_long_the_last_wait_was(clock):
    breaker = half_open(clock)
    fail(breaker)
    breaker.reset()
    fail(breaker)

    assert breaker.snapshot().retry_after_s == 10


def test_a_snapshot_tells_all(clock):
    breaker = breaker_at(clock, failure_threshold=3)
    succeed(breaker)
    fail(breaker)
    fail(breaker)
    clock.advance(4)
    closed = breaker.snapshot()
    fail(breaker)
    breaker.allow()
    clock.advance(1)
    opened = breaker.snapshot()

    assert (closed.name, closed.state, closed.reason) == ("model", CLOSED, "")
    assert (closed.window_calls, closed.window_failures) == (3, 2)
    assert closed.consecutive_failures == 2
    assert closed.failure_rate == pytest.approx(2 / 3)
    assert (closed.state_age_s, closed.retry_after_s) == (4, 0)
    assert (opened.state, opened.generation, opened.opened_total) == (OPEN, 1, 1)
    assert (opened.state_age_s, opened.retry_after_s) == (1, 9)
    assert opened.rejected_total == 1
    assert opened.failure_rate == 0


def test_retry_after_while_half_open_is_when_the_oldest_probe_ends(clock):
    breaker = half_open(clock, probe_timeout_s=7)
    assert breaker.snapshot().retry_after_s == 0
    breaker.allow()
    clock.advance(3)

    assert breaker.snapshot().retry_after_s == 4


def test_a_rejection_says_why_and_when_to_come_back(clock):
    breaker = breaker_at(clock)
    breaker.trip("answers differ")
    clock.advance(2.5)
    error = breaker.rejection()
    breaker.force_open()

    assert str(error) == "circuit 'model' is open (answers differ); try again in 7.5 s"
    assert error.retry_after_s == 7.5
    assert breaker.rejection().retry_after_s is None
    assert "reset() lets calls through" in str(breaker.rejection())


def test_listeners_hear_every_transition_in_order(clock):
    heard: list[Transition] = []
    breaker = breaker_at(clock)
    breaker.on_transition(heard.append)
    fail(breaker)
    clock.advance(10)
    succeed(breaker)

    steps = [(t.before, t.after, t.reason) for t in heard]
    assert steps == [
        (CLOSED, OPEN, "1 consecutive failures"),
        (OPEN, HALF_OPEN, "the recovery time is over"),
        (HALF_OPEN, CLOSED, "every probe succeeded"),
    ]
    assert [t.generation for t in heard] == [1, 2, 3]
    assert [t.at_s for t in heard] == [1_000, 1_010, 1_010]
    assert {t.breaker for t in heard} == {"model"}


@pytest.mark.parametrize("look", ["allow", "snapshot", "state"])
def test_whoever_looks_makes_the_due_transition_heard(clock, look):
    heard: list[Transition] = []
    breaker = breaker_at(clock)
    breaker.trip("test")
    clock.advance(10)
    breaker.on_transition(heard.append)

    found = getattr(breaker, look)

    assert callable(found) is (look != "state")
    if look != "state":
        found()
    assert [t.after for t in heard] == [HALF_OPEN]


def test_a_failing_listener_reaches_no_caller(clock, caplog):
    heard: list[BreakerState] = []

    def broken(transition: Transition) -> None:
        raise RuntimeError("the listener is broken")

    breaker = breaker_at(clock)
    breaker.on_transition(broken)
    breaker.on_transition(lambda transition: heard.append(transition.after))
    with caplog.at_level(logging.ERROR):
        fail(breaker)

    assert heard == [OPEN]
    assert "a listener failed" in caplog.text


def test_a_listener_may_use_the_breaker(clock):
    seen = []
    breaker = breaker_at(clock)
    breaker.on_transition(lambda _: seen.append(breaker.snapshot().state))
    breaker.on_transition(lambda t: breaker.reset() if t.after is OPEN else None)

    fail(breaker)

    assert seen == [OPEN, CLOSED]
    assert breaker.state is CLOSED


def test_a_state_set_by_hand_says_so_unless_told_why():
    breaker = CircuitBreaker()
    for act, reason in (
        (breaker.force_open, "forced open by hand"),
        (breaker.disable, "disabled by hand"),
        (breaker.reset, "reset by hand"),
    ):
        act()
        assert breaker.snapshot().reason == reason
        act("maintenance")
        assert breaker.snapshot().reason == "maintenance"
