"""Exact bounds on a rate from one fixed number of trials (Clopper and Pearson, 1934)."""

import math

import numpy as np
import numpy.typing as npt

from epochly.inference.statistics.beta import inverse_regularised_beta
from epochly.inference.statistics.intervals import (
    FloatArray,
    Interval,
    check_counts,
    check_fraction,
)


def rate_upper_bound(
    failures: npt.ArrayLike, trials: npt.ArrayLike, *, confidence: float = 0.95
) -> FloatArray:
    """The rate above which so few failures would be improbable; one-sided, never too low.

    Without failures this is 1 - (1 - confidence)^(1/trials), about 3/trials at 95 %: the rule of
    three. Without trials it is 1.

    Args:
        failures: counts, any shape.
        trials: counts; broadcasts.
        confidence: probability, above 0 and below 1, that the bound holds at least.

    Example:
        >>> float(rate_upper_bound(0, 32).round(3))
        0.089
    """
    check_fraction("confidence", confidence)
    k, n = check_counts(failures, trials)
    bound = inverse_regularised_beta(k + 1, np.maximum(n - k, 1.0), confidence)
    return np.where(k == n, 1.0, bound)


def rate_lower_bound(
    failures: npt.ArrayLike, trials: npt.ArrayLike, *, confidence: float = 0.95
) -> FloatArray:
    """The rate below which so many failures would be improbable; one-sided, 0 without failures."""
    check_fraction("confidence", confidence)
    k, n = check_counts(failures, trials)
    bound = inverse_regularised_beta(np.maximum(k, 1.0), n - k + 1, 1 - confidence)
    return np.where(k == 0, 0.0, bound)


def rate_interval(
    failures: npt.ArrayLike, trials: npt.ArrayLike, *, confidence: float = 0.95
) -> Interval:
    """Bound a rate on both sides, each with half of the doubt."""
    check_fraction("confidence", confidence)
    k, n = check_counts(failures, trials)
    each = (1 + confidence) / 2
    return Interval(
        estimate=np.where(n > 0, k / np.maximum(n, 1.0), np.nan),
        low=rate_lower_bound(k, n, confidence=each),
        high=rate_upper_bound(k, n, confidence=each),
    )


def clean_trials_needed(rate: float, *, confidence: float = 0.95) -> int:
    """Trials without one failure that prove the failure rate to be at most `rate`.

    Example:
        >>> clean_trials_needed(0.001)
        2995
    """
    check_fraction("rate", rate)
    check_fraction("confidence", confidence)
    return math.ceil(math.log1p(-confidence) / math.log1p(-rate))
