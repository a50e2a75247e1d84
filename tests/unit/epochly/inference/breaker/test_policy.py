import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from epochly.errors import ConfigurationError
from epochly.inference.breaker import BreakerPolicy, ignoring
from epochly.inference.breaker.policy import any_exception

OK, FAILED = False, True


def test_consecutive_failures_open_whatever_came_before():
    policy = BreakerPolicy(failure_threshold=3, failure_rate=None)

    assert policy.reason_to_open([OK] * 90 + [FAILED] * 2) is None
    assert policy.reason_to_open([OK] * 90 + [FAILED] * 3) == "3 consecutive failures"
    assert policy.reason_to_open([FAILED, FAILED, OK, FAILED]) is None
    assert policy.reason_to_open([FAILED, FAILED]) is None


def test_the_rate_opens_once_enough_calls_were_made():
    policy = BreakerPolicy(failure_threshold=None, failure_rate=0.5, minimum_calls=4)

    assert policy.reason_to_open([FAILED] * 3) is None
    assert policy.reason_to_open([FAILED, OK] * 2) == "2 of the last 4 calls failed"
    assert policy.reason_to_open([FAILED, OK, OK] * 2) is None


def test_without_thresholds_nothing_opens():
    policy = BreakerPolicy(failure_threshold=None, failure_rate=None)

    assert policy.reason_to_open([FAILED] * 100) is None


def test_the_wait_doubles_up_to_its_cap():
    policy = BreakerPolicy(recovery_timeout_s=30, max_recovery_timeout_s=100, jitter=0)

    assert [policy.recovery_s(k, 0.9) for k in (0, 1, 2, 10_000)] == [30, 60, 100, 100]


@given(reopenings=st.integers(0, 5_000), random=st.floats(0, 1))
def test_jitter_stays_within_its_share(reopenings, random):
    policy = BreakerPolicy(recovery_timeout_s=10, max_recovery_timeout_s=40, jitter=0.2)
    plain_s = min(40, 10 * 2 ** min(reopenings, 2))

    wait_s = policy.recovery_s(reopenings, random)

    assert plain_s * 0.8 <= wait_s <= plain_s * 1.2 + 1e-9
    assert policy.recovery_s(reopenings, 0.5) == plain_s


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("failure_threshold", 0),
        ("failure_threshold", 101),
        ("failure_rate", 0.0),
        ("failure_rate", 1.1),
        ("failure_rate", math.nan),
        ("window_calls", 0),
        ("minimum_calls", 0),
        ("minimum_calls", 101),
        ("recovery_timeout_s", 0),
        ("recovery_timeout_s", math.nan),
        ("recovery_timeout_s", 601.0),
        ("max_recovery_timeout_s", 29.0),
        ("jitter", 1.0),
        ("jitter", -0.1),
        ("half_open_probes", 0),
        ("probe_timeout_s", 0),
        ("slow_call_s", -1.0),
    ],
)
def test_a_value_that_makes_no_sense_is_named(name, value):
    with pytest.raises(ConfigurationError, match=name) as caught:
        BreakerPolicy(**{name: value})

    assert f"{value}" in str(caught.value)


def test_the_limits_themselves_are_accepted():
    policy = BreakerPolicy(
        window_calls=1, failure_threshold=1, minimum_calls=1, failure_rate=1.0, jitter=0.0,
        recovery_timeout_s=600.0, half_open_probes=1,
    )  # fmt: skip

    assert policy.reason_to_open([FAILED]) == "1 consecutive failures"


def test_ignored_errors_do_not_speak_against_the_callee():
    is_failure = ignoring(ValueError, LookupError)

    assert not is_failure(UnicodeError())
    assert not is_failure(KeyError())
    assert is_failure(OSError())
    assert any_exception(ValueError()) is True


def test_defaults_are_the_documented_ones():
    assert BreakerPolicy() == BreakerPolicy(
        failure_threshold=5,
        failure_rate=0.5,
        window_calls=100,
        minimum_calls=20,
        recovery_timeout_s=30,
        max_recovery_timeout_s=600,
        jitter=0.2,
        half_open_probes=1,
        probe_timeout_s=60,
        slow_call_s=None,
    )
