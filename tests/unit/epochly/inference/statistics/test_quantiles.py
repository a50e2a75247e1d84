import functools
import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from epochly.inference.statistics import quantile_difference, quantile_ranks, quantile_sequence


@pytest.mark.parametrize("p", [0.05, 0.5, 0.95])
def test_the_ranks_are_ever_wrong_with_less_than_alpha(p):
    alive, wrong = np.array([1.0]), 0.0
    for n in range(1, 301):
        alive = np.append(alive * (1 - p), 0.0) + np.append(0.0, alive * p)
        fewest, most = quantile_ranks(n, p, alpha=0.1, tuned_for=100)
        outside = (np.arange(n + 1) < fewest) | (np.arange(n + 1) > most)
        wrong += alive[outside].sum()
        alive[outside] = 0.0

    assert 0.01 < wrong < 0.1


@given(n=st.integers(0, 500), p=st.floats(0.01, 0.99))
def test_the_ranks_hold_those_of_a_single_look(n, p):
    fewest, most = quantile_ranks(n, p, tuned_for=max(n, 1))

    assert 0 <= fewest <= most <= n
    assert fewest <= stats.binom.ppf(0.025, n, p)
    assert most >= stats.binom.ppf(0.975, n, p)


def test_bounds_are_samples_at_their_ranks():
    samples = np.random.default_rng(1).permutation(np.arange(1.0, 1_001.0))
    fewest, most = quantile_ranks(1_000, 0.9)

    found = quantile_sequence(samples, 0.9)

    assert (found.estimate, found.low, found.high) == (900, fewest, most + 1)


def test_few_samples_leave_the_bounds_open():
    for samples in ([], [3.0], [3.0, 4.0, 5.0]):
        found = quantile_sequence(samples, 0.5)
        assert (found.low, found.high) == (-np.inf, np.inf)
    assert np.isnan(quantile_sequence([], 0.5).estimate)
    tail = quantile_sequence(np.arange(200.0), 0.99)
    assert np.isfinite(tail.low)
    assert tail.high == np.inf


def test_many_streams_are_bounded_at_once():
    samples = np.random.default_rng(4).lognormal(0, 0.5, (3, 2, 400))

    together = quantile_sequence(samples, 0.5)

    assert together.low.shape == (3, 2)
    assert together.low[2, 1] == quantile_sequence(samples[2, 1], 0.5).low


def test_any_increasing_function_may_be_applied_before_or_after():
    samples = np.random.default_rng(4).normal(size=500)
    plain, changed = quantile_sequence(samples, 0.7), quantile_sequence(np.exp(samples), 0.7)

    assert changed.low == np.exp(plain.low)
    assert changed.high == np.exp(plain.high)


def brute_force(a: list[float], b: list[float], p: float, alpha: float, tuned_for: float) -> float:
    """Least evidence over every value that could be the quantile of both arms."""
    doubt = -2 * math.log(alpha)
    weight = max(1.0, tuned_for / (doubt + math.log(doubt + 1)))

    @functools.cache
    def evidence(n: int, k: int) -> float:
        mixture = stats.betabinom(n, weight * p, weight * (1 - p)).logpmf(k)
        return mixture - stats.binom(n, p).logpmf(k)

    points = sorted({*a, *b})
    between = [x for x, y in itertools.pairwise(points) for x in (x, (x + y) / 2)]
    candidates = [*between, *points[-1:], points[0] - 1, points[-1] + 1] if points else [0.0]
    return min(
        sum(
            min(
                evidence(len(arm), k)
                for k in range(sum(v < x for v in arm), sum(v <= x for v in arm) + 1)
            )
            for arm in (a, b)
        )
        for x in candidates
    )


few = st.lists(st.integers(0, 6).map(float), max_size=9)


@settings(max_examples=40, deadline=None)
@given(few, few, st.sampled_from([0.2, 0.5, 0.9]))
def test_the_evidence_is_that_against_the_best_common_quantile(a, b, p):
    found = quantile_difference(a, b, p, tuned_for=40)

    expected = brute_force(a, b, p, 0.05, 40)
    assert found.log_e_value == pytest.approx(expected, abs=1e-9)


def test_equal_arms_show_no_difference_and_shifted_ones_do():
    rng = np.random.default_rng(8)
    a, b = rng.lognormal(0, 0.5, (4, 3_000)), rng.lognormal(0, 0.5, (4, 3_000))

    same, apart = quantile_difference(a, b, 0.95), quantile_difference(a, 1.5 * b, 0.95)

    assert np.all(same.p_value > 0.05)
    assert not same.excludes(0.0).any()
    assert np.all(apart.p_value < 1e-6)
    assert np.all(apart.low > 0)
    np.testing.assert_allclose(
        apart.estimate, np.quantile(1.5 * b, 0.95, axis=1) - np.quantile(a, 0.95, axis=1), rtol=0.02
    )
    back = quantile_difference(1.5 * b, a, 0.95)
    np.testing.assert_allclose(back.low, -apart.high)


def test_the_bounds_of_a_difference_join_those_of_the_arms():
    rng = np.random.default_rng(9)
    a, b = rng.normal(size=900), rng.normal(size=700)
    one, other = (quantile_sequence(arm, 0.5, alpha=0.01) for arm in (a, b))

    found = quantile_difference(a, b, 0.5, alpha=0.02)

    assert (found.low, found.high) == (other.low - one.high, other.high - one.low)
    assert found.estimate == other.estimate - one.estimate


@pytest.mark.parametrize("options", [{"p": 0.0}, {"p": 1.0}, {"alpha": 0.0}, {"tuned_for": 0}])
def test_senseless_arguments_are_refused(options):
    arguments = {"p": 0.5} | options
    with pytest.raises(ValueError, match=next(iter(options))):
        quantile_sequence([1.0, 2.0], **arguments)
    with pytest.raises(ValueError, match=next(iter(options))):
        quantile_difference([1.0, 2.0], [1.0], **arguments)
