import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from epochly.inference.statistics import Moments, mean_difference, mean_sequence

RNG = np.random.default_rng(11)


@given(
    n=st.integers(5, 3_000),
    spread=st.floats(0.01, 100),
    alpha=st.sampled_from([0.01, 0.05, 0.3]),
    tuned_for=st.sampled_from([50, 2_500]),
)
def test_a_bound_is_where_the_evidence_reaches_its_level(n, spread, alpha, tuned_for):
    a = Moments(np.array(float(n)), np.array(0.0), np.array(spread * (n - 1)))
    options = {"alpha": alpha, "tuned_for": tuned_for}
    radius = mean_difference(a, a, **options).high
    if np.isinf(radius):
        return

    at_bound = mean_difference(a, Moments(a.count, radius, a.squares), **options)

    assert at_bound.log_e_value == pytest.approx(-math.log(alpha), rel=1e-6)
    assert at_bound.low == pytest.approx(0, abs=1e-9 * radius)


def test_many_samples_give_the_asymptotic_confidence_sequence():
    n, alpha = 1e7, 0.05
    sample = Moments(np.array(n), np.array(3.0), np.array(4.0 * (n - 1)))
    rho = (-2 * math.log(alpha) + math.log(1 - 2 * math.log(alpha))) / 2_500
    published = 2 * math.sqrt(
        2 * (n * rho + 1) / (n * n * rho) * math.log(math.sqrt(n * rho + 1) / alpha)
    )

    found = mean_sequence(sample, alpha=alpha, tuned_for=2_500)

    assert found.estimate == 3
    assert found.high - 3 == pytest.approx(published, rel=1e-5)
    assert 3 - found.low == pytest.approx(published, rel=1e-5)


def test_it_is_tightest_where_it_was_tuned():
    n = np.array(1_000.0)
    sample = Moments(n, np.zeros(()), n - 1)
    widths = [float(mean_sequence(sample, tuned_for=t).high) for t in (100, 1_000, 10_000)]

    assert widths[1] == min(widths)


def test_too_few_samples_exclude_nothing():
    for values in ([], [4.0], [4.0, 4.1]):
        found = mean_sequence(Moments.of(values))
        assert (found.low, found.high) == (-np.inf, np.inf)
    difference = mean_difference(Moments.of([1.0]), Moments.of([2.0, 3.0]))
    assert (difference.low, difference.high) == (-np.inf, np.inf)
    assert difference.p_value == 1


def test_samples_that_do_not_vary_are_equal_or_different():
    fives, sixes = Moments.of([5.0] * 400), Moments.of([6.0] * 400)

    assert mean_difference(fives, fives).p_value == 1
    assert mean_difference(fives, sixes).p_value < 1e-9
    assert not mean_difference(fives, fives).excludes(0.0)


@given(scale=st.floats(1e-3, 1e3), shift=st.floats(-1e3, 1e3))
def test_units_do_not_matter(scale, shift):
    a, b = RNG.normal(0, 1, 200), RNG.normal(0.3, 1, 150)
    plain = mean_difference(Moments.of(a), Moments.of(b))

    other = mean_difference(Moments.of(a * scale + shift), Moments.of(b * scale + shift))

    assert other.log_e_value == pytest.approx(plain.log_e_value, rel=1e-6, abs=1e-6)
    assert other.high == pytest.approx(plain.high * scale, rel=1e-6, abs=1e-6 * scale)


def test_the_arms_are_symmetric():
    a, b = Moments.of(RNG.normal(0, 1, 300)), Moments.of(RNG.normal(0.4, 2, 200))
    forth, back = mean_difference(a, b), mean_difference(b, a)

    assert forth.estimate == -back.estimate
    assert (forth.low, forth.high) == (-back.high, -back.low)
    assert forth.log_e_value == back.log_e_value


def test_bounds_and_p_value_agree():
    a, b = RNG.normal(0, 1, (200, 400)), RNG.normal(0.25, 1, (200, 400))
    found = mean_difference(Moments.of(a), Moments.of(b))

    np.testing.assert_array_equal(found.excludes(0.0), found.p_value < 0.05)
    assert 0 < found.excludes(0.0).mean() < 1


def test_normal_samples_are_covered_from_the_second_one_on():
    samples = np.random.default_rng(5).normal(7, 3, (3_000, 60))
    wrong = np.zeros(3_000, dtype=bool)
    for n in range(2, 61):
        wrong |= mean_sequence(Moments.of(samples[:, :n]), alpha=0.2, tuned_for=15).excludes(7.0)

    assert 0.02 < wrong.mean() < 0.2


@pytest.mark.parametrize("options", [{"alpha": 0.0}, {"alpha": 1.0}, {"tuned_for": 0}])
def test_senseless_arguments_are_refused(options):
    sample = Moments.of([1.0, 2.0])
    with pytest.raises(ValueError, match=next(iter(options))):
        mean_sequence(sample, **options)
    with pytest.raises(ValueError, match=next(iter(options))):
        mean_difference(sample, sample, **options)
