import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from epochly.inference.statistics import (
    clean_trials_needed,
    rate_interval,
    rate_lower_bound,
    rate_upper_bound,
)

counts = st.integers(1, 5_000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


@settings(max_examples=40, deadline=None)
@given(counts, st.sampled_from([0.5, 0.9, 0.95, 0.999]))
def test_they_are_clopper_and_pearsons(count, confidence):
    k, n = count

    def exact(side: str):
        result = stats.binomtest(k, n, alternative=side)
        return result.proportion_ci(confidence, method="exact")

    assert rate_upper_bound(k, n, confidence=confidence) == pytest.approx(
        exact("less").high, rel=1e-8
    )
    assert rate_lower_bound(k, n, confidence=confidence) == pytest.approx(
        exact("greater").low, rel=1e-8
    )
    both = rate_interval(k, n, confidence=confidence)
    assert both.low == pytest.approx(exact("two-sided").low, rel=1e-8)
    assert both.high == pytest.approx(exact("two-sided").high, rel=1e-8)
    assert both.estimate == k / n


@pytest.mark.parametrize("n", [1, 32, 1_000, 10**6])
def test_without_failures_it_is_the_rule_of_three(n):
    bound = float(rate_upper_bound(0, n))

    assert bound == pytest.approx(-np.expm1(np.log(0.05) / n), rel=1e-10)
    assert bound <= 3 / n
    assert rate_lower_bound(0, n) == 0
    assert rate_lower_bound(n, n) == pytest.approx(1 - bound)


def test_without_trials_nothing_is_known():
    found = rate_interval(0, 0)

    assert (found.low, found.high) == (0, 1)
    assert np.isnan(found.estimate)
    assert rate_upper_bound(0, 0) == 1


def test_the_trials_needed_are_just_enough():
    for rate in (0.5, 0.01, 0.001):
        n = clean_trials_needed(rate)

        assert rate_upper_bound(0, n) <= rate < rate_upper_bound(0, n - 1)
    assert clean_trials_needed(0.01, confidence=0.99) == 459


def test_arrays_are_bounded_at_once():
    bounds = rate_upper_bound([[0], [3]], [10, 100, 1_000])

    assert bounds.shape == (2, 3)
    assert bounds[1, 2] == pytest.approx(float(rate_upper_bound(3, 1_000)))
    assert np.all(np.diff(bounds, axis=1) < 0)


@pytest.mark.parametrize("bound", [rate_upper_bound, rate_lower_bound, rate_interval])
def test_senseless_arguments_are_refused(bound):
    with pytest.raises(ValueError, match="counts must be whole"):
        bound(5, 4)
    with pytest.raises(ValueError, match="confidence must lie"):
        bound(1, 4, confidence=1.0)
    with pytest.raises(ValueError, match="rate must lie"):
        clean_trials_needed(0.0)
    with pytest.raises(ValueError, match="confidence must lie"):
        clean_trials_needed(0.1, confidence=0.0)
