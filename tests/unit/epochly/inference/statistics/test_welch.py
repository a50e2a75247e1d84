import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from epochly.inference.statistics import Moments, welch_test
from epochly.inference.statistics.welch import student_quantile, student_two_sided


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    sizes=st.tuples(st.integers(2, 400), st.integers(2, 400)),
    scales=st.tuples(st.floats(1e-3, 1e3), st.floats(1e-3, 1e3)),
    shift=st.floats(-3, 3),
    confidence=st.sampled_from([0.5, 0.8, 0.95, 0.99]),
)
def test_it_equals_scipys(seed, sizes, scales, shift, confidence):
    rng = np.random.default_rng(seed)
    a = rng.normal(0, scales[0], sizes[0])
    b = rng.normal(shift * max(scales), scales[1], sizes[1])
    theirs = stats.ttest_ind(b, a, equal_var=False)
    bounds = theirs.confidence_interval(confidence)

    ours = welch_test(Moments.of(a), Moments.of(b), confidence=confidence)

    assert ours.p_value == pytest.approx(theirs.pvalue, rel=1e-9, abs=1e-15)
    assert ours.statistic == pytest.approx(theirs.statistic, rel=1e-9)
    assert ours.freedom == pytest.approx(theirs.df, rel=1e-9)
    width = bounds.high - bounds.low
    assert ours.low == pytest.approx(bounds.low, rel=1e-9, abs=1e-9 * width)
    assert ours.high == pytest.approx(bounds.high, rel=1e-9, abs=1e-9 * width)
    assert ours.estimate == pytest.approx(b.mean() - a.mean(), abs=1e-9 * width)


@pytest.mark.parametrize("freedom", [1, 2.5, 30, 1e4, 1e8])
@pytest.mark.parametrize("t", [0.0, 1e-6, 0.7, 2.0, 12.0, 40.0])
def test_student_equals_scipys(freedom, t):
    expected = 2 * stats.t.sf(t, freedom)

    assert student_two_sided(t, freedom) == pytest.approx(expected, rel=1e-9, abs=1e-300)
    assert student_two_sided(-t, freedom) == student_two_sided(t, freedom)


@pytest.mark.parametrize("freedom", [1, 2.5, 30, 1e4, 1e8])
@pytest.mark.parametrize("confidence", [0.01, 0.5, 0.95, 0.9999])
def test_students_quantile_equals_scipys(freedom, confidence):
    expected = stats.t.ppf((1 + confidence) / 2, freedom)

    assert student_quantile(freedom, confidence) == pytest.approx(expected, rel=1e-9)


def test_below_two_samples_nothing_is_known():
    empty, one, many = Moments.of([]), Moments.of([3.0]), Moments.of([1.0, 2.0, 3.0])
    for a, b in ((one, many), (many, one), (empty, many), (empty, empty)):
        found = welch_test(a, b)

        assert found.p_value == 1
        assert (found.low, found.high) == (-np.inf, np.inf)
        assert np.isnan(found.freedom)


def test_samples_that_do_not_vary_are_equal_or_certainly_different():
    fives, sixes = Moments.of([5.0] * 4), Moments.of([6.0] * 3)
    same, apart = welch_test(fives, fives), welch_test(fives, sixes)

    assert (same.p_value, same.low, same.high) == (1, 0, 0)
    assert (apart.p_value, apart.low, apart.high) == (0, 1, 1)
    assert apart.statistic == np.inf


def test_many_streams_are_tested_at_once():
    rng = np.random.default_rng(3)
    a, b = rng.normal(size=(6, 40)), rng.normal(size=(6, 30))

    together = welch_test(Moments.of(a), Moments.of(b))

    alone = [float(welch_test(Moments.of(a[i]), Moments.of(b[i])).p_value) for i in range(6)]
    np.testing.assert_allclose(together.p_value, alone, rtol=1e-12)


def test_tiny_variances_do_not_underflow():
    a, b = Moments.of([1e-170, 2e-170, 3e-170]), Moments.of([2e-170, 3e-170, 4e-170])

    assert welch_test(a, b).freedom == pytest.approx(4)


@pytest.mark.parametrize("confidence", [0.0, 1.0, -0.5, np.nan])
def test_a_confidence_that_makes_no_sense_is_refused(confidence):
    with pytest.raises(ValueError, match="confidence must lie above 0 and below 1"):
        welch_test(Moments.of([1.0, 2.0]), Moments.of([1.0, 2.0]), confidence=confidence)
