"""A scaled sample of `bench/statistics.py`, with its own seeds; limits leave room for chance."""

import math

import pytest
from bench import statistics as campaign


@pytest.mark.parametrize("logarithms", [True, False])
def test_equal_means_raise_few_false_alarms_over_fifty_looks(logarithms):
    ours, peeking = campaign.compare_means(1, 300, 0.0, logarithms=logarithms)

    assert ours.share <= 0.04
    assert peeking.share > 0.2


@pytest.mark.parametrize("logarithms", [True, False])
def test_five_percent_are_found(logarithms):
    ours, _ = campaign.compare_means(2, 300, 0.05, logarithms=logarithms)

    assert ours.share >= 0.92
    assert 1_000 <= ours.median_stop <= 3_000


def test_failure_rates_are_told_apart_only_where_they_differ():
    assert campaign.compare_rates(3, 1_000, 0.02, 0.02).share <= 0.05
    assert campaign.compare_rates(4, 1_000, 0.02, 0.04).share >= 0.97


def test_a_guardrail_alarms_only_beyond_its_limit():
    assert campaign.guard_rate(5, 1_000, 0.02, 0.02).share <= 0.05
    assert campaign.guard_rate(6, 1_000, 0.04, 0.02).share >= 0.97


def test_quantiles_are_told_apart_only_where_they_differ():
    assert campaign.compare_quantiles(7, 10, 0.0, 0.95).share <= 0.3
    assert campaign.compare_quantiles(8, 10, 0.25, 0.95).share >= 0.8


def test_bounds_hold_at_every_look():
    assert campaign.mean_coverage(9, 300) >= 0.95
    assert campaign.rate_coverage(10, 1_000, 0.01) >= 0.95
    assert campaign.rate_coverage(11, 1_000, 0.3) >= 0.95
    assert campaign.quantile_coverage(12, 60, 0.5, 1.0) >= 0.9


def test_the_chart_has_the_run_lengths_it_states():
    calm = campaign.chart_run_lengths(13, 400, 0.0, most=40_000)
    shifted = campaign.chart_run_lengths(14, 2_000, 1.0, most=1_000)

    assert 3_000 < calm.mean() < 5_500
    assert shifted.mean() == pytest.approx(12.8, rel=0.08)
    assert math.isfinite(calm.max())
