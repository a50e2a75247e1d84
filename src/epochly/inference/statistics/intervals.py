"""What an inference returns: an estimate with its bounds, and the evidence of a difference."""

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

FloatArray: TypeAlias = npt.NDArray[np.float64]
IntArray: TypeAlias = npt.NDArray[np.int64]
BoolArray: TypeAlias = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Interval:
    """Estimates of one quantity in many streams, with bounds; the arrays share one shape.

    Of a confidence *sequence*, all intervals of a stream hold at once with the stated probability:
    one may look after every sample and stop when one likes. A bound is infinite, or the end of the
    quantity's range, where the samples say nothing yet.
    """

    estimate: FloatArray
    low: FloatArray
    high: FloatArray

    def excludes(self, value: npt.ArrayLike) -> BoolArray:
        """Tell in which streams `value` lies outside the bounds."""
        wanted = np.asarray(value, dtype=np.float64)
        return np.asarray((self.low > wanted) | (self.high < wanted))


@dataclass(frozen=True, slots=True)
class Comparison(Interval):
    """A difference or a ratio of two arms, and the evidence that there is one.

    Attributes:
        log_e_value: natural logarithm of an e-value against "the arms are equal": the factor by
            which a bet against it has grown. For equal arms the bet ever reaches 1/alpha with a
            probability of at most alpha (Ville's inequality).
    """

    log_e_value: FloatArray

    @property
    def p_value(self) -> FloatArray:
        """An always-valid p-value: 1/e, at most 1.

        It may be looked at any number of times; the smallest so far is valid as well.
        """
        return np.asarray(np.exp(-np.maximum(self.log_e_value, 0.0)))


def check_fraction(name: str, value: npt.ArrayLike) -> FloatArray:
    """Return `value` as an array.

    Raises:
        ValueError: some of it is not above 0 and below 1.
    """
    array = np.asarray(value, dtype=np.float64)
    if not np.all((array > 0) & (array < 1)):
        raise ValueError(f"{name} must lie above 0 and below 1, got {value!r}")
    return array


def check_counts(parts: npt.ArrayLike, totals: npt.ArrayLike) -> tuple[FloatArray, FloatArray]:
    """Return two broadcast arrays of counts.

    Raises:
        ValueError: a count is negative or not whole, or a part exceeds its total.
    """
    part, total = np.broadcast_arrays(
        np.asarray(parts, dtype=np.float64), np.asarray(totals, dtype=np.float64)
    )
    whole = (part == np.floor(part)) & (total == np.floor(total))
    if not np.all(whole & (part >= 0) & (part <= total) & np.isfinite(total)):
        raise ValueError(
            f"counts must be whole, with 0 <= part <= total; got {parts!r} of {totals!r}"
        )
    return part, total
