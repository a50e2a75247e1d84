"""The EWMA control chart, which notices small lasting shifts of a stream's mean.

z_t = (1 - l) z_(t-1) + l x_t, with limits mean +- L sd sqrt(l / (2 - l) (1 - (1 - l)^(2t))), exact
at every t and not only in the long run (Roberts, 1959; Lucas and Saccucci, 1990; NIST/SEMATECH
e-Handbook, 6.3.2.4).
"""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from epochly.inference.statistics.intervals import BoolArray, FloatArray

_MAD_TO_SD = 1.482602218505602  # the normal distribution's sd over its median absolute deviation


@dataclass(frozen=True, slots=True, kw_only=True)
class EwmaChart:
    """The chart of many streams after `count` samples each; immutable, `update` makes the next.

    Attributes:
        mean: of the samples while all is well; any shape, that of the streams.
        sd: their standard deviation, above 0.
        smoothing: l, the weight of a new sample, above 0 and at most 1. 1 is Shewhart's chart.
        limit: L, in standard deviations of z. With the defaults, a stream where all is well is out
            of control every 4,100 samples, and a shift of one sd is noticed after 13; both are
            means, of normal samples (`bench/statistics.py`).
        value: z of each stream; starts at the mean.
        count: samples so far.
    """

    mean: FloatArray
    sd: FloatArray
    smoothing: float
    limit: float
    value: FloatArray
    count: int = 0

    @classmethod
    def start(
        cls,
        mean: npt.ArrayLike,
        sd: npt.ArrayLike,
        *,
        smoothing: float = 0.1,
        limit: float = 3.5,
    ) -> "EwmaChart":
        """Begin a chart.

        Raises:
            ValueError: `smoothing`, `limit` or `sd` makes no sense.
        """
        if not 0 < smoothing <= 1:
            raise ValueError(f"smoothing must be above 0 and at most 1, got {smoothing}")
        if not limit > 0:
            raise ValueError(f"limit must be above 0 standard deviations, got {limit}")
        mean, sd = np.broadcast_arrays(np.asarray(mean, np.float64), np.asarray(sd, np.float64))
        if not np.all(sd > 0):
            raise ValueError(f"sd must be above 0, got {sd}")
        return cls(mean=mean, sd=sd, smoothing=smoothing, limit=limit, value=mean)

    def update(self, sample: npt.ArrayLike) -> "EwmaChart":
        """Take one sample of each stream."""
        step = self.smoothing * (np.asarray(sample, np.float64) - self.value)
        return replace(self, value=np.asarray(self.value + step), count=self.count + 1)

    @property
    def deviation(self) -> FloatArray:
        """How far z is from the mean, in its own standard deviations at this count; 0 at first."""
        if not self.count:
            return np.zeros_like(self.value)
        smoothing = self.smoothing
        variance = smoothing / (2 - smoothing) * (1 - (1 - smoothing) ** (2 * self.count))
        return np.asarray((self.value - self.mean) / (self.sd * np.sqrt(variance)))

    @property
    def upper_limit(self) -> FloatArray:
        """The value of z above which a stream is out of control, at this count."""
        smoothing = self.smoothing
        variance = smoothing / (2 - smoothing) * (1 - (1 - smoothing) ** (2 * self.count))
        return np.asarray(self.mean + self.limit * self.sd * np.sqrt(variance))

    @property
    def is_high(self) -> BoolArray:
        """Which streams have risen out of control: the one-sided chart, for distances."""
        return self.deviation > self.limit

    @property
    def is_out(self) -> BoolArray:
        """Which streams have risen or fallen out of control."""
        return np.abs(self.deviation) > self.limit


def robust_location_scale(
    samples: npt.ArrayLike, *, least_scale: float
) -> tuple[FloatArray, FloatArray]:
    """Median and scaled median absolute deviation, which a few outliers do not move.

    Args:
        samples: along the last axis; the other axes are streams.
        least_scale: floor of the scale: samples that hardly vary would make every later one alarm.

    Raises:
        ValueError: there is no sample, or the floor is not above 0.
    """
    values = np.asarray(samples, np.float64)
    if not values.shape[-1]:
        raise ValueError("a location needs at least one sample")
    if not least_scale > 0:
        raise ValueError(f"least_scale must be above 0, got {least_scale}")
    location = np.median(values, axis=-1)
    apart = np.abs(values - location[..., np.newaxis])
    return location, np.maximum(_MAD_TO_SD * np.median(apart, axis=-1), least_scale)
