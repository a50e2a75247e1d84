"""Count, mean and variance of streams, gathered in pieces."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from epochly.inference.statistics.intervals import FloatArray


@dataclass(frozen=True, slots=True)
class Moments:
    """What tests of means need to know of samples; the arrays share one shape, that of the streams.

    Attributes:
        count: samples.
        mean: their mean; 0 where there is none.
        squares: their sum of squared deviations from the mean.
    """

    count: FloatArray
    mean: FloatArray
    squares: FloatArray

    @classmethod
    def of(cls, samples: npt.ArrayLike, axis: int = -1) -> "Moments":
        """Gather samples along one axis; the other axes are streams."""
        values = np.asarray(samples, dtype=np.float64)
        count = np.full(np.delete(values.shape, axis), float(values.shape[axis]))
        mean = values.sum(axis=axis) / np.maximum(count, 1.0)
        squares = ((values - np.expand_dims(mean, axis)) ** 2).sum(axis=axis)
        return cls(count, np.asarray(mean), np.asarray(squares))

    @classmethod
    def of_sums(
        cls, count: npt.ArrayLike, total: npt.ArrayLike, total_of_squares: npt.ArrayLike
    ) -> "Moments":
        """Gather samples that were added up elsewhere, such as in a database.

        What is left of the squares behind their mean loses digits where the mean is far greater
        than the deviations: half of those of a double at a ratio of ten million.

        Args:
            count: samples.
            total: their sum.
            total_of_squares: the sum of their squares.
        """
        numbers, sums, squares = (
            np.asarray(each, dtype=np.float64) for each in (count, total, total_of_squares)
        )
        mean = sums / np.maximum(numbers, 1.0)
        return cls(numbers, np.asarray(mean), np.asarray(np.maximum(squares - sums * mean, 0.0)))

    def merge(self, later: "Moments") -> "Moments":
        """Gather two pieces into one (Chan, Golub and LeVeque, 1983)."""
        count = self.count + later.count
        share = later.count / np.maximum(count, 1.0)
        apart = later.mean - self.mean
        squares = self.squares + later.squares + apart**2 * self.count * share
        return Moments(count, np.asarray(self.mean + apart * share), np.asarray(squares))

    @property
    def variance(self) -> FloatArray:
        """The unbiased variance; not a number below two samples."""
        freedom = self.count - 1
        return np.where(freedom > 0, self.squares / np.maximum(freedom, 1.0), np.nan)


def standard_error(a: Moments, b: Moments) -> tuple[FloatArray, FloatArray]:
    """Standard error of `b.mean - a.mean`, and its degrees of freedom (Welch, 1947).

    Both are not a number where an arm has fewer than two samples.
    """
    part_a, part_b = (arm.variance / np.maximum(arm.count, 1.0) for arm in (a, b))
    squared = part_a + part_b
    with np.errstate(invalid="ignore", divide="ignore"):
        # Shares of the whole: the squares of tiny variances would underflow.
        share_a, share_b = part_a / squared, part_b / squared
        freedom = 1 / (share_a**2 / (a.count - 1) + share_b**2 / (b.count - 1))
    pooled = np.where(np.isnan(squared), np.nan, a.count + b.count - 2)
    return np.sqrt(squared), np.where(squared == 0, pooled, freedom)
