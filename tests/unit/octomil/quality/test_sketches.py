"""Sketches: their quantiles have the error they state, and sums are those of all values."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from octomil.quality.sketches import LEAST, MOST, RELATIVE_ERROR, Sketch, together

VALUES = st.floats(LEAST, MOST)
MANY = st.lists(VALUES, min_size=1, max_size=60)
ROUNDING = 1e-9


@given(MANY, st.floats(0, 1))
def test_a_quantile_is_near_the_value_of_its_rank(values, share):
    exact = sorted(values)[max(math.ceil(share * len(values)), 1) - 1]

    found = Sketch.of(values).quantile(share)

    assert found == pytest.approx(exact, rel=RELATIVE_ERROR + ROUNDING)


@given(MANY, MANY)
def test_sketches_add_up_to_that_of_all_values(some, more):
    whole = Sketch.of(some + more)
    added = together([Sketch.of(some), Sketch.of(more)])

    assert added.counts == whole.counts
    assert added == together([added, Sketch()])
    assert added.log_sum == pytest.approx(whole.log_sum)
    assert added.log_square_sum == pytest.approx(whole.log_square_sum)


def test_what_is_outside_of_the_bounds_counts_as_the_nearer_one():
    sketch = Sketch.of([0.0, 1e-300, 1e300])

    assert sketch.count == 3
    assert sketch.quantile(0.5) == pytest.approx(LEAST, rel=RELATIVE_ERROR)
    assert sketch.quantile(1) == pytest.approx(MOST, rel=RELATIVE_ERROR)


def test_of_nothing_there_is_no_quantile():
    assert (Sketch().count, Sketch().quantile(0.5)) == (0, None)


def test_memory_is_bounded_whatever_comes():
    values = np.geomspace(LEAST / 10, MOST * 10, 100_000).tolist()

    assert 1_000 < len(Sketch.of(values).counts) < 1_400
