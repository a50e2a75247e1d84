"""Means that may be looked at after every sample, with unknown variance.

The mixture t-test: a bet on effects drawn from a normal distribution, in units of the unknown
standard deviation, whose scale is integrated out by its right Haar prior (Wang and Ramdas,
"Anytime-valid t-tests and confidence sequences", 2023). For one stream of normal samples it is
exact from the second sample on. Between two arms Welch's standard error and degrees of freedom
take the place of the pooled ones, so that variances may differ; that, like samples that are not
normal, makes it asymptotic. As samples grow it turns into the confidence sequence of Waudby-Smith
et al. (2024), which is the mSPRT of Johari et al. (2017) with an estimated variance.

Latencies have long tails. Give their logarithms: these are close to normal, and a difference of
their means is a ratio of geometric means. Raw samples need a few hundred before they may be looked
at, more the more skewed they are.
"""

import math

import numpy as np
import numpy.typing as npt

from epochly.inference.statistics.intervals import (
    Comparison,
    FloatArray,
    Interval,
    check_fraction,
)
from epochly.inference.statistics.moments import Moments, standard_error

TUNED_FOR = 2_500
"""Samples at which bounds are tightest by default; they stay valid for any number."""


def mean_sequence(
    sample: Moments, *, alpha: float = 0.05, tuned_for: float = TUNED_FOR
) -> Interval:
    """Bound the mean of each stream, at every number of samples at once.

    Args:
        sample: any shape.
        alpha: probability that the bounds are ever wrong. Each bound alone may be read as a
            one-sided one.
        tuned_for: samples at which the bounds are tightest.
    """
    with np.errstate(invalid="ignore"):
        error = np.sqrt(sample.variance / np.maximum(sample.count, 1.0))
    radius = _radius(error, sample.count, sample.count - 1, alpha, tuned_for)
    return Interval(sample.mean, sample.mean - radius, sample.mean + radius)


def mean_difference(
    a: Moments, b: Moments, *, alpha: float = 0.05, tuned_for: float = TUNED_FOR
) -> Comparison:
    """Bound `b.mean - a.mean` and weigh the evidence that it is not 0, at every look at once.

    Args:
        a: moments of the first arm, any shape.
        b: moments of the second; broadcasts.
        alpha: probability that the bounds are ever wrong.
        tuned_for: samples per arm at which the bounds are tightest.

    Example:
        >>> rng = np.random.default_rng(7)
        >>> old, new = rng.lognormal(0.0, 0.5, 5_000), rng.lognormal(math.log(1.05), 0.5, 5_000)
        >>> found = mean_difference(Moments.of(np.log(old)), Moments.of(np.log(new)))
        >>> bool(found.excludes(0.0)), bool(found.p_value < 0.05)
        (True, True)
    """
    error, freedom = standard_error(a, b)
    difference = np.asarray(b.mean - a.mean)
    size = a.count * b.count / np.maximum(a.count + b.count, 1.0)
    radius = _radius(error, size, freedom, alpha, tuned_for / 2)
    log_e = _log_e_value(difference, error, size, freedom, _mixture(alpha, tuned_for / 2))
    return Comparison(difference, difference - radius, difference + radius, log_e)


def _mixture(alpha: float, tuned_for: float) -> float:
    """Variance of the effects that the bet is spread over, in squared standard deviations.

    It makes the bounds tightest at `tuned_for` (Waudby-Smith et al., 2024).
    """
    check_fraction("alpha", alpha)
    if not tuned_for > 0:
        raise ValueError(f"tuned_for must be above 0 samples, got {tuned_for}")
    doubt = -2 * math.log(alpha)
    return (doubt + math.log(doubt + 1)) / tuned_for


def _log_e_value(
    effect: npt.ArrayLike,
    error: FloatArray,
    size: FloatArray,
    freedom: FloatArray,
    mixture: float,
) -> FloatArray:
    spread = 1 + size * mixture
    with np.errstate(divide="ignore", invalid="ignore"):
        square = (np.asarray(effect) / error) ** 2 / freedom
        gain = np.where(
            np.isinf(square), np.log(spread), np.log1p(square) - np.log1p(square / spread)
        )
        found = 0.5 * (freedom + 1) * gain - 0.5 * np.log(spread)
    return np.where(np.isnan(found), 0.0, found)


def _radius(
    error: FloatArray, size: FloatArray, freedom: FloatArray, alpha: float, tuned_for: float
) -> FloatArray:
    """Where the e-value reaches 1/alpha; infinite while no effect, however large, could."""
    spread = 1 + size * _mixture(alpha, tuned_for)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        growth = np.exp((np.log(spread) - 2 * math.log(alpha)) / (freedom + 1))
        square = (growth - 1) / (1 - growth / spread)
        radius = error * np.sqrt(freedom * square)
    return np.where((growth < spread) & ~np.isnan(radius), radius, np.inf)
