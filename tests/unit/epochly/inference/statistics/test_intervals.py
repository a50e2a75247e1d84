import numpy as np
import pytest

from epochly.inference.statistics import Comparison, Interval
from epochly.inference.statistics.intervals import check_counts, check_fraction


def test_a_value_outside_the_bounds_is_excluded_and_the_bounds_are_not():
    interval = Interval(np.array([2.0, 2.0]), np.array([1.0, -np.inf]), np.array([3.0, np.inf]))

    np.testing.assert_array_equal(interval.excludes(0.0), [True, False])
    np.testing.assert_array_equal(interval.excludes([3.5, 3.5]), [True, False])
    for end in (1.0, 2.0, 3.0):
        np.testing.assert_array_equal(interval.excludes(end), [False, False])


def test_the_p_value_is_the_inverse_of_the_e_value_and_at_most_one():
    log_e = np.array([-700.0, -1.0, 0.0, np.log(20)])
    found = Comparison(np.zeros(4), np.zeros(4), np.zeros(4), log_e)

    np.testing.assert_allclose(found.p_value, [1, 1, 1, 0.05])


@pytest.mark.parametrize("value", [0.0, 1.0, np.nan, [0.5, 2.0]])
def test_a_fraction_lies_strictly_inside(value):
    with pytest.raises(ValueError, match="alpha must lie above 0 and below 1"):
        check_fraction("alpha", value)
    assert check_fraction("alpha", 0.5) == 0.5


@pytest.mark.parametrize(
    ("part", "total"), [(-1, 5), (6, 5), (1.5, 5), (1, 5.5), (1, np.inf), (np.nan, 5)]
)
def test_counts_are_whole_and_parts_of_their_totals(part, total):
    with pytest.raises(ValueError, match="counts must be whole"):
        check_counts(part, total)


def test_counts_broadcast():
    part, total = check_counts([[1], [2]], [3, 4, 5])

    assert part.shape == total.shape == (2, 3)
