"""Rates that may be looked at after every trial, exactly.

The beta-binomial mixture (Robbins, 1970; Howard et al., "Time-uniform Chernoff bounds", 2020): a
bet on rates drawn from a beta distribution. Whatever the rate and however often one looks, the
bounds are wrong with a probability of at most alpha.
"""

import numpy as np
import numpy.typing as npt

from epochly.inference.statistics.beta import beta_tails, log_beta
from epochly.inference.statistics.intervals import (
    Comparison,
    FloatArray,
    Interval,
    check_counts,
    check_fraction,
)

_PRIOR = np.array(0.5)  # Jeffreys' prior: good at rates near 0 and 1 as well
_NEWTON_STEPS = 60


def rate_sequence(
    failures: npt.ArrayLike, trials: npt.ArrayLike, *, alpha: float = 0.05
) -> Interval:
    """Bound a rate at every number of trials at once.

    Args:
        failures: counts so far, any shape.
        trials: counts so far; broadcasts.
        alpha: probability that the bounds are ever wrong. Each alone may be read as one-sided.
    """
    k, n = check_counts(failures, trials)
    low, high = _bounds(k, n, _PRIOR, _PRIOR, alpha)
    return Interval(np.where(n > 0, k / np.maximum(n, 1.0), np.nan), low, high)


def rate_excess(
    failures: npt.ArrayLike, trials: npt.ArrayLike, *, limit: npt.ArrayLike
) -> FloatArray:
    """Weigh the evidence that a rate exceeds `limit`; for guardrails.

    The bet is spread over the rates above the limit only. So that a quantile does not exceed a
    bound - the 95th percentile of latency one second - count what exceeds the bound and let
    `limit` be 0.05.

    Args:
        failures: counts so far, any shape.
        trials: counts so far; broadcasts.
        limit: a rate above 0 and below 1; broadcasts.

    Returns:
        The logarithm of an e-value: while the rate is at or below the limit, it ever reaches
        log(1/alpha) with a probability of at most alpha.
    """
    limit = check_fraction("limit", limit)
    k, n = check_counts(failures, trials)
    a, b = k + _PRIOR, n - k + _PRIOR
    with np.errstate(divide="ignore"):
        posterior = np.log(beta_tails(a, b, limit, 1 - limit)[1])
        prior = np.log(beta_tails(_PRIOR, _PRIOR, limit, 1 - limit)[1])
    return np.asarray(_log_e_value(k, n, _PRIOR, _PRIOR, limit) + posterior - prior)


def rate_ratio(
    failures_a: npt.ArrayLike,
    failures_b: npt.ArrayLike,
    *,
    share_b: npt.ArrayLike = 0.5,
    alpha: float = 0.05,
    tuned_for: float = 100,
) -> Comparison:
    """Bound the ratio of two failure rates, `b` over `a`, at every look at once.

    Of trials that go to `b` at random with probability `share_b`, a failure is one of `b` with a
    probability that depends on the ratio of the rates alone: not on the rates, which may drift, nor
    on the number of trials (Lindon and Malek, "Anytime-valid inference for multinomial count data",
    2022). So only failures are counted. Rare ones lose next to nothing by it; of frequent events,
    count those that are rare. With trials for failures, it finds a sample ratio mismatch.

    Args:
        failures_a: counts so far, any shape.
        failures_b: counts so far; broadcasts.
        share_b: share of trials sent to `b`, constant while it is counted.
        alpha: probability that the bounds are ever wrong.
        tuned_for: failures of both arms by which a ratio other than 1 is found soonest.
    """
    share = check_fraction("share_b", share_b)
    if not tuned_for > 0:
        raise ValueError(f"tuned_for must be above 0 failures, got {tuned_for}")
    total = np.asarray(failures_a, np.float64) + np.asarray(failures_b, np.float64)
    k, n = check_counts(failures_b, total)
    weight = max(1.0, tuned_for / 8)  # a tighter prior suits more failures
    a, b = weight * share, weight * (1 - share)
    low, high = _bounds(k, n, a, b, alpha)
    odds = (1 - share) / share
    with np.errstate(divide="ignore", invalid="ignore"):
        estimate, low, high = (
            np.where(n > 0, rate / (1 - rate) * odds, empty)
            for rate, empty in ((k / np.maximum(n, 1.0), np.nan), (low, 0.0), (high, np.inf))
        )
    return Comparison(estimate, low, high, _log_e_value(k, n, a, b, share))


def _log_e_value(
    k: FloatArray, n: FloatArray, a: FloatArray, b: FloatArray, rate: FloatArray
) -> FloatArray:
    """Evidence against one rate, of a bet spread by Beta(a, b)."""
    mixed = log_beta(k + a, n - k + b) - log_beta(a, b)
    return np.asarray(mixed - k * np.log(rate) - (n - k) * np.log1p(-rate))


def _bounds(
    k: FloatArray, n: FloatArray, a: FloatArray, b: FloatArray, alpha: float
) -> tuple[FloatArray, FloatArray]:
    """The rates against which the evidence is 1/alpha."""
    check_fraction("alpha", alpha)
    level = log_beta(k + a, n - k + b) - log_beta(a, b) + np.log(alpha)
    return _lower_root(k, n, level), 1 - _lower_root(n - k, n, level)


def _lower_root(k: FloatArray, n: FloatArray, level: FloatArray) -> FloatArray:
    """The smaller rate whose log-likelihood of k in n is `level`; 0 where there is none.

    As a function of log(p / (1 - p)) the negative log-likelihood is convex, with slope -k far to
    the left: Newton's method from below rises to the root.
    """
    some = np.where(k > 0, k, 1.0)
    logit = np.where(k > 0, level / some, 0.0)
    for _ in range(_NEWTON_STEPS):
        with np.errstate(under="ignore"):
            rate = np.exp(-np.logaddexp(0.0, -logit))
        excess = n * np.logaddexp(0.0, logit) - k * logit + level
        step = np.where(k > n * rate, excess / np.maximum(k - n * rate, 1e-300), 0.0)
        logit = logit + np.where(k > 0, np.maximum(step, 0.0), 0.0)
        if np.all(step <= 1e-13 * np.maximum(1.0, np.abs(logit))):
            break
    with np.errstate(under="ignore"):
        return np.where(k > 0, np.exp(-np.logaddexp(0.0, -logit)), 0.0)
