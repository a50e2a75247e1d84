import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from epochly.inference.statistics import EwmaChart, robust_location_scale


@given(st.lists(st.floats(-5, 5), min_size=1, max_size=60), st.sampled_from([0.05, 0.2, 1.0]))
def test_value_and_limit_follow_their_definitions(samples, smoothing):
    chart = EwmaChart.start(0.5, 2.0, smoothing=smoothing, limit=3.0)
    for sample in samples:
        chart = chart.update(sample)
    n = len(samples)
    weights = smoothing * (1 - smoothing) ** np.arange(n)[::-1]

    assert chart.count == n
    assert chart.value == pytest.approx(0.5 * (1 - smoothing) ** n + weights @ samples)
    sd = 2.0 * math.sqrt((weights**2).sum())  # that of the weighted sum: the limits are exact
    assert chart.upper_limit == pytest.approx(0.5 + 3 * sd)
    assert chart.deviation == pytest.approx((chart.value - 0.5) / sd)


def test_without_samples_nothing_is_out():
    chart = EwmaChart.start([1.0, 2.0], 1.0)

    assert not chart.is_out.any()
    assert not chart.is_high.any()
    np.testing.assert_array_equal(chart.deviation, [0, 0])
    np.testing.assert_array_equal(chart.upper_limit, [1, 2])
    assert (chart.smoothing, chart.limit, chart.count) == (0.1, 3.5, 0)


def test_the_one_sided_chart_hears_only_rises():
    chart = EwmaChart.start(np.zeros(3), 1.0).update([4.0, -4.0, 3.0])

    np.testing.assert_array_equal(chart.is_out, [True, True, False])
    np.testing.assert_array_equal(chart.is_high, [True, False, False])


def test_a_lasting_shift_is_noticed_and_an_updated_chart_is_a_new_one():
    first = chart = EwmaChart.start(10.0, 2.0)
    while not chart.is_out:
        chart = chart.update(12.0)

    assert 5 < chart.count < 30
    assert first.count == 0


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("smoothing", {"smoothing": 0.0}),
        ("smoothing", {"smoothing": 1.1}),
        ("limit", {"limit": 0.0}),
        ("sd", {"sd": 0.0}),
        ("sd", {"sd": [1.0, math.nan]}),
    ],
)
def test_senseless_arguments_are_refused(name, arguments):
    with pytest.raises(ValueError, match=f"{name} must be above 0"):
        EwmaChart.start(**({"mean": 0.0, "sd": 1.0} | arguments))


def test_location_and_scale_resist_outliers():
    samples = np.random.default_rng(6).normal(3, 2, (2, 4_001))
    samples[:, :400] = 1e9

    location, scale = robust_location_scale(samples, least_scale=1e-6)

    np.testing.assert_allclose(location, 3, atol=0.5)
    np.testing.assert_allclose(scale, 2, rtol=0.2)


def test_the_scale_has_a_floor():
    location, scale = robust_location_scale([5.0, 5.0, 5.0], least_scale=0.25)

    assert (location, scale) == (5, 0.25)
    with pytest.raises(ValueError, match="at least one sample"):
        robust_location_scale([], least_scale=1.0)
    with pytest.raises(ValueError, match="least_scale must be above 0"):
        robust_location_scale([1.0], least_scale=0.0)
