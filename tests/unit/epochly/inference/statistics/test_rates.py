import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from epochly.inference.statistics import rate_excess, rate_ratio, rate_sequence

counts = st.integers(1, 10_000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


def chance_of_ever(rejects: Callable[[np.ndarray, int], np.ndarray], p: float, most: int) -> float:
    """The exact probability that a sequence of trials is ever rejected, by dynamic programming."""
    alive, rejected = np.array([1.0]), 0.0
    for n in range(1, most + 1):
        alive = np.append(alive * (1 - p), 0.0) + np.append(0.0, alive * p)
        out = rejects(np.arange(n + 1), n)
        rejected += alive[out].sum()
        alive[out] = 0.0
    return rejected


@pytest.mark.parametrize("p", [0.003, 0.05, 0.3, 0.5, 0.97])
def test_the_bounds_are_ever_wrong_with_less_than_alpha(p):
    def excluded(k, n):
        return rate_sequence(k, n, alpha=0.1).excludes(p)

    assert 0.001 < chance_of_ever(excluded, p, 300) < 0.1


@pytest.mark.parametrize("p", [0.02, 0.1, 0.5])
def test_a_guardrail_at_its_limit_ever_alarms_with_less_than_alpha(p):
    def alarmed(k, n):
        return rate_excess(k, n, limit=p) >= math.log(10)

    at_limit = chance_of_ever(alarmed, p, 100)

    assert 0.001 < at_limit < 0.1
    assert chance_of_ever(alarmed, p / 2, 100) < at_limit < chance_of_ever(alarmed, p * 1.5, 100)


@pytest.mark.parametrize("share", [0.1, 0.5])
def test_equal_arms_are_ever_told_apart_with_less_than_alpha(share):
    def apart(k, n):
        return rate_ratio(n - k, k, share_b=share, alpha=0.1).excludes(1.0)

    assert 0.01 < chance_of_ever(apart, share, 300) < 0.1


@settings(max_examples=50)
@given(counts, st.sampled_from([0.01, 0.05, 0.5]))
def test_a_bound_is_where_the_evidence_reaches_its_level(count, alpha):
    k, n = count
    found = rate_sequence(k, n, alpha=alpha)
    log_mixture = sum(
        math.lgamma(v) * sign
        for v, sign in ((k + 0.5, 1), (n - k + 0.5, 1), (n + 1, -1), (0.5, -1), (0.5, -1))
    )

    def log_e(p: float) -> float:
        return log_mixture - k * math.log(p) - (n - k) * math.log1p(-p)

    assert found.low <= found.estimate == k / n <= found.high
    if k:
        assert log_e(float(found.low)) == pytest.approx(-math.log(alpha), abs=1e-6)
    else:
        assert found.low == 0
    if k < n:
        assert log_e(float(found.high)) == pytest.approx(-math.log(alpha), abs=1e-6)
    else:
        assert found.high == 1


@given(counts)
def test_failures_and_successes_mirror_each_other(count):
    k, n = count
    failures, successes = rate_sequence(k, n), rate_sequence(n - k, n)

    assert failures.low == pytest.approx(1 - successes.high, abs=1e-12)


def test_more_trials_tell_more():
    bounds = rate_sequence([1, 10, 100, 1_000], [10, 100, 1_000, 10_000])

    assert np.all(np.diff(bounds.high - bounds.low) < 0)


def test_without_trials_nothing_is_known():
    found = rate_sequence(0, 0)
    assert (found.low, found.high) == (0, 1)
    assert np.isnan(found.estimate)
    assert rate_excess(0, 0, limit=0.1) == pytest.approx(0)
    ratio = rate_ratio(0, 0)
    assert (ratio.low, ratio.high, float(ratio.p_value)) == (0, np.inf, 1)
    assert np.isnan(ratio.estimate)


def test_the_ratio_is_that_of_the_rates():
    even, sparse = rate_ratio(100, 200), rate_ratio(900, 200, share_b=0.1)

    assert even.estimate == pytest.approx(2)
    assert 1 < even.low < 2 < even.high < 3.1
    assert even.p_value < 0.05
    assert sparse.estimate == pytest.approx(2)
    assert rate_ratio(200, 100).high == pytest.approx(1 / even.low)


def test_an_arm_without_failures_bounds_the_ratio_on_one_side():
    none_in_b, none_in_a = rate_ratio(30, 0), rate_ratio(0, 30)

    assert (none_in_b.estimate, none_in_b.low) == (0, 0)
    assert none_in_b.high < 1
    assert none_in_a.estimate == none_in_a.high == np.inf
    assert none_in_a.low > 1


def test_bounds_and_p_value_agree():
    found = rate_ratio(np.arange(100)[:, np.newaxis], np.arange(100))

    np.testing.assert_array_equal(found.excludes(1.0), found.p_value < 0.05)


def test_a_rate_below_the_limit_is_no_evidence():
    evidence = rate_excess([0, 10, 50], [1_000, 1_000, 1_000], limit=0.02)

    assert evidence[0] < evidence[1] < 0
    assert evidence[2] > math.log(20)


@pytest.mark.parametrize(("failures", "of_b"), [(16, 14), (1_600, 860)])
def test_three_standard_errors_weigh_most_where_it_was_tuned(failures, of_b):
    tuned, other = (
        rate_ratio(failures - of_b, of_b, tuned_for=n) for n in (failures, 25_600 // failures)
    )

    assert tuned.log_e_value > other.log_e_value + 0.2


def test_senseless_arguments_are_refused():
    with pytest.raises(ValueError, match="counts must be whole"):
        rate_sequence(3, 2)
    with pytest.raises(ValueError, match="alpha must lie"):
        rate_sequence(1, 2, alpha=0.0)
    with pytest.raises(ValueError, match="limit must lie"):
        rate_excess(1, 2, limit=0.0)
    with pytest.raises(ValueError, match="counts must be whole"):
        rate_excess(3, 2, limit=0.5)
    with pytest.raises(ValueError, match="share_b must lie"):
        rate_ratio(1, 2, share_b=1.0)
    with pytest.raises(ValueError, match="tuned_for must be above 0"):
        rate_ratio(1, 2, tuned_for=0)
    with pytest.raises(ValueError, match="counts must be whole"):
        rate_ratio(-1, 2)
