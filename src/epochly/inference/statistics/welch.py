"""Welch's t-test, for one look at a number of samples that was fixed beforehand.

Looked at again and again it raises far more false alarms than it says: for that there are
confidence sequences (:mod:`epochly.inference.statistics.means`).
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from epochly.inference.statistics.beta import beta_tails, inverse_regularised_beta
from epochly.inference.statistics.intervals import FloatArray, Interval, check_fraction
from epochly.inference.statistics.moments import Moments, standard_error


@dataclass(frozen=True, slots=True)
class WelchResult(Interval):
    """The difference of two means, `b` less `a`, with a confidence interval for a single look.

    Attributes:
        statistic: Student's t; infinite where the samples do not vary but the means differ.
        freedom: degrees of freedom (Welch and Satterthwaite).
        p_value: two-sided; 1 where an arm has fewer than two samples, for nothing is known.
    """

    statistic: FloatArray
    freedom: FloatArray
    p_value: FloatArray


def welch_test(a: Moments, b: Moments, *, confidence: float = 0.95) -> WelchResult:
    """Compare two means without assuming equal variances (Welch, Biometrika 34, 1947).

    Args:
        a: moments of the first arm, any shape.
        b: moments of the second; broadcasts.
        confidence: that of the interval, above 0 and below 1.

    Example:
        >>> fast, slow = Moments.of([1.0, 1.1, 0.9, 1.0]), Moments.of([1.4, 1.6, 1.5, 1.5])
        >>> float(welch_test(fast, slow).p_value.round(5))
        0.00013
    """
    check_fraction("confidence", confidence)
    error, freedom = standard_error(a, b)
    difference = np.asarray(b.mean - a.mean)
    known = ~np.isnan(error)
    error, freedom = np.where(known, error, np.inf), np.where(known, freedom, 1.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        t = np.where(difference == 0, 0.0, difference / error)
    radius = np.where(known, student_quantile(freedom, confidence) * error, np.inf)
    return WelchResult(
        estimate=difference,
        low=difference - radius,
        high=difference + radius,
        statistic=t,
        freedom=np.where(known, freedom, np.nan),
        p_value=student_two_sided(t, freedom),
    )


def student_two_sided(t: npt.ArrayLike, freedom: npt.ArrayLike) -> FloatArray:
    """P(|T| >= |t|) for Student's t with that many degrees of freedom."""
    t = np.abs(np.asarray(t, np.float64))
    freedom = np.asarray(freedom, np.float64)
    with np.errstate(over="ignore", divide="ignore"):
        ratio = (t / np.sqrt(freedom)) ** 2
        x, y = 1 / (1 + ratio), 1 / (1 + 1 / ratio)
    return beta_tails(freedom / 2, 0.5, x, y)[0]


def student_quantile(freedom: npt.ArrayLike, confidence: npt.ArrayLike) -> FloatArray:
    """The t with P(|T| <= t) = `confidence`."""
    freedom, confidence = np.asarray(freedom, np.float64), np.asarray(confidence, np.float64)
    inside = inverse_regularised_beta(0.5, freedom / 2, confidence)
    outside = inverse_regularised_beta(freedom / 2, 0.5, 1 - confidence)
    return np.sqrt(freedom * inside / outside)
