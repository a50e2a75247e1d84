import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from epochly.inference.statistics.moments import Moments, standard_error

samples = arrays.arrays(np.float64, st.integers(0, 30), elements=st.floats(-1e6, 1e6))


@given(samples, samples, samples)
def test_merging_pieces_is_gathering_the_whole(first, second, third):
    whole = Moments.of(np.concatenate([first, second, third]))

    merged = Moments.of(first).merge(Moments.of(second)).merge(Moments.of(third))

    assert merged.count == whole.count
    assert merged.mean == pytest.approx(whole.mean, rel=1e-9, abs=1e-6)
    assert merged.squares == pytest.approx(whole.squares, rel=1e-9, abs=1e-3)


def test_they_are_numpys():
    values = np.random.default_rng(2).normal(5, 3, (4, 7, 50))

    found = Moments.of(values, axis=1)

    assert found.count.shape == (4, 50)
    np.testing.assert_array_equal(found.count, 7)
    np.testing.assert_allclose(found.mean, values.mean(axis=1))
    np.testing.assert_allclose(found.variance, values.var(axis=1, ddof=1))


def test_one_sample_has_no_variance():
    assert np.isnan(Moments.of([2.0]).variance)
    assert np.isnan(Moments.of([]).variance)
    assert Moments.of([]).mean == 0


def test_the_standard_error_adds_what_both_arms_contribute():
    a, b = Moments.of([1.0, 3.0]), Moments.of([0.0, 0.0, 6.0, 6.0])

    error, freedom = standard_error(a, b)

    assert error == pytest.approx(np.sqrt(2 / 2 + 12 / 4))
    assert freedom == pytest.approx(4**2 / (1 / 1 + 9 / 3))


@given(samples)
def test_sums_that_were_added_up_elsewhere_say_the_same(values):
    whole = Moments.of(values)

    found = Moments.of_sums(values.size, values.sum(), (values**2).sum())

    assert found.count == whole.count
    assert found.mean == pytest.approx(whole.mean, rel=1e-9, abs=1e-6)
    assert found.squares == pytest.approx(whole.squares, rel=1e-9, abs=1e-12 * (values**2).sum())


def test_rounding_leaves_no_negative_squares():
    assert Moments.of_sums(3, 0.3, 0.3 * 0.1 * (1 - 1e-15)).squares >= 0
