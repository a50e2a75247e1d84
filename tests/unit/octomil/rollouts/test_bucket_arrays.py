"""Places of many devices at once."""

import numpy as np
import pytest

from octomil.rollouts.bucket_arrays import included, places_of
from octomil.rollouts.buckets import place_of


def test_places_keep_the_order_of_the_devices():
    ids = ["dev_2", "dev_1", "größer", "dev_2"]

    places = places_of("rol_1", iter(ids))

    assert places.dtype == np.uint64
    assert places.tolist() == [place_of("rol_1", each) for each in ids]


def test_the_last_place_is_in_the_whole_alone():
    ends = np.array([0, 2**63 - 1, 2**63, 2**64 - 1], np.uint64)

    assert included(ends, 0).tolist() == [False] * 4
    assert included(ends, 50).tolist() == [True, True, False, False]
    assert included(ends, 100).tolist() == [True] * 4
    assert not included(ends, 99.999)[-1]


def test_any_shape_will_do():
    assert included(np.zeros((2, 3), np.uint64), 1).shape == (2, 3)
    assert places_of("rol_1", []).shape == (0,)


def test_what_is_no_percentage_is_refused():
    with pytest.raises(ValueError, match="percentage"):
        included(np.zeros(1, np.uint64), 101)
