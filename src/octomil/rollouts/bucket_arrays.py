"""Places of many devices at once: hashed once, compared as often as the share changes."""

from collections.abc import Iterable
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from octomil.rollouts.buckets import PLACES, place_behind, salt_prefix, threshold

PlaceArray: TypeAlias = npt.NDArray[np.uint64]
BoolArray: TypeAlias = npt.NDArray[np.bool_]


def places_of(salt: str, device_ids: Iterable[str]) -> PlaceArray:
    """Return the devices' places in a rollout, in their order, as `buckets.place_of` does."""
    prefix = salt_prefix(salt)
    places = (place_behind(prefix, device_id.encode()) for device_id in device_ids)
    return np.fromiter(places, np.uint64)


def included(places: PlaceArray, percentage: float) -> BoolArray:
    """Tell which places a share of the fleet has, as `buckets.is_included` does; any shape.

    Raises:
        ValueError: the percentage is not from 0 to 100, or finer than a thousandth.
    """
    limit = threshold(percentage)
    if limit == PLACES:  # which no 64 bits hold
        return np.ones(places.shape, np.bool_)
    return places < np.uint64(limit)
