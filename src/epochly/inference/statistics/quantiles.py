"""Quantiles that may be looked at after every sample, whatever the distribution.

A quantile is a rate: a share `p` of the samples lies at or below it. The ranks between which it
lies follow from the beta-binomial mixture (Howard and Ramdas, "Sequential estimation of quantiles",
2022, section 3), exactly, with no assumption but that samples are independent and alike.
"""

import math

import numpy as np
import numpy.typing as npt

from epochly.inference.statistics.beta import log_beta
from epochly.inference.statistics.intervals import (
    Comparison,
    FloatArray,
    IntArray,
    Interval,
    check_fraction,
)

TUNED_FOR = 2_500
"""Samples at which bounds are tightest by default; they stay valid for any number."""


def quantile_sequence(
    samples: npt.ArrayLike, p: float, *, alpha: float = 0.05, tuned_for: float = TUNED_FOR
) -> Interval:
    """Bound a quantile of each stream, at every number of samples at once.

    Args:
        samples: the samples so far along the last axis; the other axes are streams.
        p: which quantile, above 0 and below 1: 0.95 for the 95th percentile.
        alpha: probability that the bounds are ever wrong. Each alone may be read as one-sided.
        tuned_for: samples at which the bounds are tightest.
    """
    ordered = np.sort(np.asarray(samples, np.float64), axis=-1)
    n = ordered.shape[-1]
    fewest, most = quantile_ranks(n, p, alpha=alpha, tuned_for=tuned_for)
    infinite = np.full((*ordered.shape[:-1], 1), np.inf)
    # Position j is the j-th smallest; at least `fewest` samples lie at or below the quantile.
    padded = np.concatenate([-infinite, ordered, infinite], axis=-1)
    middle = padded[..., max(1, math.ceil(n * p))] if n else np.full(ordered.shape[:-1], np.nan)
    return Interval(np.asarray(middle), padded[..., fewest], padded[..., most + 1])


def quantile_ranks(
    n: int, p: float, *, alpha: float = 0.05, tuned_for: float = TUNED_FOR
) -> tuple[int, int]:
    """Between how many of `n` samples lie at or below the p-quantile, at every n at once.

    Returns:
        The fewest and the most. The quantile is at least the `fewest`-th smallest sample and at
        most the one after the `most`-th; minus and plus infinity stand at both ends.
    """
    check_fraction("alpha", alpha)
    evidence = _log_e_values(n, p, alpha, tuned_for)
    possible = np.flatnonzero(evidence < -math.log(alpha))
    return int(possible[0]), int(possible[-1])


def quantile_difference(
    a: npt.ArrayLike,
    b: npt.ArrayLike,
    p: float,
    *,
    alpha: float = 0.05,
    tuned_for: float = TUNED_FOR,
) -> Comparison:
    """Compare a quantile of two arms, `b` less `a`, at every look at once.

    The evidence is that against the least refuted common quantile, with both arms together; it
    finds smaller differences than the bounds do, which take half of alpha for each arm.

    Args:
        a: the first arm's samples so far along the last axis; the other axes are streams.
        b: the second arm's; its streams broadcast with those of `a`.
        p: which quantile, above 0 and below 1.
        alpha: probability that the bounds are ever wrong.
        tuned_for: samples per arm at which the test is most powerful.
    """
    first, second = (
        quantile_sequence(arm, p, alpha=alpha / 2, tuned_for=tuned_for) for arm in (a, b)
    )
    return Comparison(
        estimate=np.asarray(second.estimate - first.estimate),
        low=np.asarray(second.low - first.high),
        high=np.asarray(second.high - first.low),
        log_e_value=_least_refuted(np.asarray(a, float), np.asarray(b, float), p, alpha, tuned_for),
    )


def _least_refuted(
    a: FloatArray, b: FloatArray, p: float, alpha: float, tuned_for: float
) -> FloatArray:
    """Evidence against the common quantile that explains both arms best.

    At each sample the number of samples below the quantile lies between those smaller and those
    not larger, in each arm; within these, evidence is least next to its minimum, as it is convex.
    """
    streams = np.broadcast_shapes(a.shape[:-1], b.shape[:-1])
    a = np.broadcast_to(a, (*streams, a.shape[-1]))
    b = np.broadcast_to(b, (*streams, b.shape[-1]))
    both = np.concatenate([a, b], axis=-1)
    order = np.argsort(both, axis=-1, kind="stable")
    below, upto = _ends_of_ties(np.take_along_axis(both, order, axis=-1))
    of_a = np.concatenate([np.zeros((*streams, 1), int), np.cumsum(order < a.shape[-1], -1)], -1)
    total = np.zeros(below.shape)
    for n, counts in ((a.shape[-1], of_a), (b.shape[-1], np.arange(both.shape[-1] + 1) - of_a)):
        evidence = _log_e_values(n, p, alpha, tuned_for)
        smaller, not_larger = (np.take_along_axis(counts, ends, axis=-1) for ends in (below, upto))
        total += evidence[np.clip(np.argmin(evidence), smaller, not_larger)]
    return np.asarray(total.min(axis=-1, initial=np.inf) if total.size else np.zeros(streams))


def _ends_of_ties(ordered: FloatArray) -> tuple[IntArray, IntArray]:
    """For each of the ordered samples: how many are smaller, and how many are not larger."""
    n = ordered.shape[-1]
    positions = np.arange(n)
    differs = ordered[..., 1:] != ordered[..., :-1]
    edge = np.ones((*ordered.shape[:-1], 1), dtype=bool)
    first = np.where(np.concatenate([edge, differs], axis=-1), positions, 0)
    last = np.where(np.concatenate([differs, edge], axis=-1), positions + 1, n)
    smaller = np.maximum.accumulate(first, axis=-1)
    return smaller, np.minimum.accumulate(last[..., ::-1], axis=-1)[..., ::-1]


def _log_e_values(n: int, p: float, alpha: float, tuned_for: float) -> FloatArray:
    """Evidence against "x is the p-quantile", for each number from 0 to n of samples below x."""
    check_fraction("p", p)
    if not tuned_for > 0:
        raise ValueError(f"tuned_for must be above 0 samples, got {tuned_for}")
    doubt = -2 * math.log(alpha)
    weight = max(1.0, tuned_for / (doubt + math.log(doubt + 1)))
    a, b = weight * p, weight * (1 - p)
    k = np.arange(n + 1, dtype=np.float64)
    mixed = log_beta(k + a, n - k + b) - log_beta(a, b)
    return np.asarray(mixed - k * math.log(p) - (n - k) * math.log1p(-p))
