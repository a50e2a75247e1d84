import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special

from epochly.inference.statistics.beta import (
    beta_tails,
    inverse_regularised_beta,
    log_beta,
    regularised_beta,
)

parameters = st.floats(-2, 4).map(lambda power: 10.0**power)
inner = st.floats(1e-6, 1 - 1e-6)


@given(parameters, parameters)
def test_log_beta_equals_scipys(a, b):
    assert log_beta(a, b) == pytest.approx(special.betaln(a, b), rel=1e-10, abs=1e-10)
    assert log_beta(a, b) == log_beta(b, a)


@pytest.mark.parametrize("b", [1e-3, 0.5, 1.0, 9.99, 10.0, 1e6, 1e12])
def test_log_beta_equals_its_closed_forms(b):
    assert log_beta(1.0, b) == pytest.approx(-math.log(b), rel=1e-14, abs=1e-14)
    expected = -math.log(b) - math.log1p(b)
    assert log_beta(2.0, b) == pytest.approx(expected, rel=1e-14, abs=1e-14)


@given(parameters, parameters, inner)
def test_the_incomplete_beta_equals_scipys(a, b, x):
    assert regularised_beta(a, b, x) == pytest.approx(special.betainc(a, b, x), rel=1e-9, abs=1e-13)


@given(parameters, parameters, inner)
def test_both_tails_make_one(a, b, x):
    lower, upper = beta_tails(a, b, x, 1 - x)

    assert lower + upper == pytest.approx(1, abs=1e-12)
    assert upper == pytest.approx(special.betaincc(a, b, x), rel=1e-9, abs=1e-13)


@pytest.mark.parametrize("size", [1e3, 1e5, 1e7])
def test_large_parameters_keep_their_digits(size):
    spread = np.array([-6.0, -2.0, 0.0, 2.0, 6.0])
    x = 0.3 + spread * math.sqrt(0.21 / size)

    found = regularised_beta(0.3 * size, 0.7 * size, x)

    np.testing.assert_allclose(found, special.betainc(0.3 * size, 0.7 * size, x), rtol=1e-10)


def test_the_ends_are_certain():
    np.testing.assert_array_equal(regularised_beta([0.5, 3, 900], 2.0, 0.0), [0, 0, 0])
    np.testing.assert_array_equal(regularised_beta([0.5, 3, 900], 2.0, 1.0), [1, 1, 1])
    np.testing.assert_array_equal(inverse_regularised_beta(3.0, 2.0, [0.0, 1.0]), [0, 1])


@settings(max_examples=50, deadline=None)
@given(parameters, parameters, st.floats(1e-9, 1 - 1e-9))
def test_the_inverse_inverts(a, b, probability):
    x = inverse_regularised_beta(a, b, probability)

    assert 0 < x <= 1
    expected = special.betaincinv(a, b, probability)
    assert x == pytest.approx(expected, rel=1e-8, abs=1e-280)


def test_the_inverse_finds_tiny_quantiles():
    assert inverse_regularised_beta(1.0, 1.0, 1e-250) == pytest.approx(1e-250, rel=1e-9)
    assert inverse_regularised_beta(2.0, 1.0, 1e-250) == pytest.approx(1e-125, rel=1e-9)


def test_arrays_broadcast():
    assert log_beta(np.ones((3, 1)), np.ones(4)).shape == (3, 4)
    assert regularised_beta(np.ones((3, 1)), 2.0, np.full(4, 0.5)).shape == (3, 4)
    assert inverse_regularised_beta(np.ones((3, 1)), 2.0, np.full(4, 0.5)).shape == (3, 4)
