"""Figures of merit, against values worked out by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from octomil.routing.calibration.metrics import (
    apgr,
    isotonic,
    paired_difference,
    quality,
    recovered,
)

GAIN = np.array([1.0, 0.0, 1.0, 0.0])


def test_the_curve_begins_at_nought_and_ends_at_one():
    curve = recovered(np.array([4.0, 3.0, 2.0, 1.0]), GAIN)

    assert curve.tolist() == [0.0, 0.5, 0.5, 1.0, 1.0]


def test_area_and_shares_of_a_known_order():
    found = quality(np.array([4.0, 3.0, 2.0, 1.0]), GAIN)

    assert found.apgr == pytest.approx((0.25 + 0.5 + 0.75 + 1.0) / 4)
    assert found.cpt50 == pytest.approx(1 / 4)
    assert found.cpt80 == pytest.approx(2.6 / 4)


def test_the_best_order_beats_the_worst():
    assert apgr(GAIN, GAIN) == pytest.approx(0.75)
    assert apgr(-GAIN, GAIN) == pytest.approx(0.25)


def test_ties_are_broken_by_chance_and_not_by_place():
    gain = np.repeat([1.0, 0.0], 500)

    assert apgr(np.zeros(1000), gain) == pytest.approx(0.5, abs=0.05)


def test_no_gap_cannot_be_recovered():
    with pytest.raises(ValueError, match="no better than the weak one"):
        recovered(np.zeros(2), np.array([1.0, -1.0]))


def test_the_interval_tells_a_better_order_from_an_equal_one():
    chance = np.random.default_rng(0)
    gain = (chance.random(400) < 0.3).astype(float)
    good, other = gain + chance.random(400), chance.random(400)

    low, high = paired_difference(good, other, gain, resamples=100)
    assert 0 < low < high
    assert paired_difference(other, other, gain, resamples=20) == (0.0, 0.0)


@given(st.lists(st.floats(-9, 9), min_size=1, max_size=30))
def test_isotonic_values_rise_and_keep_their_sum(values):
    found = isotonic(values, [1.0] * len(values))

    assert (np.diff(found) >= 0).all()
    assert found.sum() == pytest.approx(sum(values), abs=1e-9)
