# ruff: noqa: A005 - always imported as bench.statistics
"""How often the statistics are wrong, and how soon they are right: a seeded campaign.

Latencies are lognormal(0, 0.5); each of 50 looks adds 100 samples to each arm. A stream is wrong if
it is wrong at any look. The peer is Welch's test of the textbook, looked at just as often.
`tests/unit/epochly/inference/statistics/test_campaign.py` runs a sample of it.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from bench.report import Budget, Row
from epochly.inference.statistics import (
    EwmaChart,
    Moments,
    mean_difference,
    mean_sequence,
    quantile_difference,
    quantile_sequence,
    rate_excess,
    rate_ratio,
    rate_sequence,
)
from epochly.inference.statistics.intervals import BoolArray, FloatArray, IntArray
from epochly.inference.statistics.moments import standard_error
from epochly.inference.statistics.welch import student_two_sided

COVERS = ("epochly/inference/statistics",)

LOOKS = 50
STEP = 100
SIGMA = 0.5
ALPHA = 0.05
SEED = 20_261_121

_CHUNK = 250  # streams at once: 10 MB an arm


@dataclass(frozen=True)
class Rejections:
    """Which share of the streams was ever rejected, and after how many samples per arm, mostly."""

    share: float
    median_stop: float


def run(quick: bool) -> list[Row]:
    """Simulate; a quick run proves that it works and measures little."""
    streams, few = (200, 20) if quick else (4_000, 400)
    return [
        *_mean_rows(streams),
        *_rate_rows(streams),
        *_quantile_rows(few),
        *_coverage_rows(streams, few),
        *_chart_rows(500 if quick else 4_000),
    ]


def first_rejections(rejected: BoolArray) -> Rejections:
    """Sum up rejections of (streams, looks)."""
    ever = rejected.any(axis=-1)
    first = STEP * (1 + np.argmax(rejected, axis=-1)[ever])
    return Rejections(float(ever.mean()), float(np.median(first)) if ever.any() else math.nan)


def compare_means(
    seed: int, streams: int, effect: float, *, logarithms: bool
) -> tuple[Rejections, Rejections]:
    """Compare two arms of which `b` is slower by `effect`: our test, and Welch's peeked at."""
    ours, peer = [], []
    for a, b in _arms(seed, streams, effect, logarithms=logarithms):
        looks_a, looks_b = _moments_at_looks(a), _moments_at_looks(b)
        ours.append(mean_difference(looks_a, looks_b, alpha=ALPHA).excludes(0.0))
        error, freedom = standard_error(looks_a, looks_b)
        statistic = (looks_b.mean - looks_a.mean) / error
        peer.append(student_two_sided(statistic, freedom) < ALPHA)
    return first_rejections(np.concatenate(ours)), first_rejections(np.concatenate(peer))


def compare_rates(seed: int, streams: int, rate_a: float, rate_b: float) -> Rejections:
    """Compare two failure rates with equal traffic."""
    rng = np.random.default_rng(seed)
    trials_b = rng.binomial(2 * STEP, 0.5, (streams, LOOKS))
    failures_a = np.cumsum(rng.binomial(2 * STEP - trials_b, rate_a), axis=-1)
    failures_b = np.cumsum(rng.binomial(trials_b, rate_b), axis=-1)
    found = rate_ratio(failures_a, failures_b, alpha=ALPHA)
    return first_rejections(found.excludes(1.0))


def guard_rate(seed: int, streams: int, rate: float, limit: float) -> Rejections:
    """Watch a failure rate that must not exceed `limit`."""
    failures, trials = _counts(seed, streams, rate)
    return first_rejections(rate_excess(failures, trials, limit=limit) >= -math.log(ALPHA))


def compare_quantiles(seed: int, streams: int, effect: float, p: float) -> Rejections:
    """Compare a quantile of two arms of which `b` is slower by `effect`."""
    rejected = [
        np.stack([_quantiles_differ(a, b, p, look) for look in range(1, LOOKS + 1)], axis=-1)
        for a, b in _arms(seed, streams, effect, logarithms=False)
    ]
    return first_rejections(np.concatenate(rejected))


def _quantiles_differ(a: FloatArray, b: FloatArray, p: float, look: int) -> BoolArray:
    n = STEP * look
    return quantile_difference(a[:, :n], b[:, :n], p, alpha=ALPHA).p_value < ALPHA


def mean_coverage(seed: int, streams: int) -> float:
    """Share of streams of log-latencies whose mean was never excluded."""
    wrong = [
        mean_sequence(_moments_at_looks(a), alpha=ALPHA).excludes(0.0)
        for a, _ in _arms(seed, streams, 0.0, logarithms=True)
    ]
    return 1 - first_rejections(np.concatenate(wrong)).share


def rate_coverage(seed: int, streams: int, rate: float) -> float:
    """Share of streams whose failure rate was never excluded."""
    failures, trials = _counts(seed, streams, rate)
    return 1 - first_rejections(rate_sequence(failures, trials, alpha=ALPHA).excludes(rate)).share


def quantile_coverage(seed: int, streams: int, p: float, true: float) -> float:
    """Share of streams of latencies whose p-quantile, which is `true`, was never excluded."""
    wrong = [
        np.stack(
            [
                quantile_sequence(a[:, : STEP * look], p, alpha=ALPHA).excludes(true)
                for look in range(1, LOOKS + 1)
            ],
            axis=-1,
        )
        for a, _ in _arms(seed, streams, 0.0, logarithms=False)
    ]
    return 1 - first_rejections(np.concatenate(wrong)).share


def chart_run_lengths(seed: int, streams: int, shift: float, *, most: int) -> FloatArray:
    """Samples until each chart of shifted standard normal samples is out of control."""
    rng = np.random.default_rng(seed)
    chart = EwmaChart.start(np.zeros(streams), 1.0)
    lengths = np.full(streams, float(most))
    running = np.ones(streams, dtype=bool)
    while running.any() and chart.count < most:
        chart = chart.update(rng.normal(shift, 1.0, streams))
        out = running & chart.is_out
        lengths[out] = chart.count
        running &= ~out
    return lengths


def _arms(
    seed: int, streams: int, effect: float, *, logarithms: bool
) -> Iterator[tuple[FloatArray, FloatArray]]:
    rng = np.random.default_rng(seed)
    for start in range(0, streams, _CHUNK):
        shape = (min(_CHUNK, streams - start), LOOKS * STEP)
        a, b = rng.normal(0.0, SIGMA, shape), rng.normal(math.log1p(effect), SIGMA, shape)
        yield (a, b) if logarithms else (np.exp(a), np.exp(b))


def _moments_at_looks(samples: FloatArray) -> Moments:
    """Moments of shape (streams, looks), each of all samples up to its look."""
    pieces = Moments.of(samples.reshape(len(samples), LOOKS, STEP))
    so_far = [Moments(pieces.count[:, 0], pieces.mean[:, 0], pieces.squares[:, 0])]
    for look in range(1, LOOKS):
        piece = Moments(pieces.count[:, look], pieces.mean[:, look], pieces.squares[:, look])
        so_far.append(so_far[-1].merge(piece))
    return Moments(
        count=np.stack([moments.count for moments in so_far], axis=-1),
        mean=np.stack([moments.mean for moments in so_far], axis=-1),
        squares=np.stack([moments.squares for moments in so_far], axis=-1),
    )


def _counts(seed: int, streams: int, rate: float) -> tuple[IntArray, IntArray]:
    rng = np.random.default_rng(seed)
    failures = np.cumsum(rng.binomial(STEP, rate, (streams, LOOKS)), axis=-1)
    return failures, STEP * np.arange(1, LOOKS + 1)


def _mean_rows(streams: int) -> list[Row]:
    rows = []
    for kind, logarithms in (("of logarithms", True), ("raw", False)):
        same, peeked = compare_means(SEED, streams, 0.0, logarithms=logarithms)
        apart, _ = compare_means(SEED + 1, streams, 0.05, logarithms=logarithms)
        small, _ = compare_means(SEED + 2, streams, 0.02, logarithms=logarithms)
        rows += [
            Row(
                metric=f"means {kind}, A/A false alarms",
                unit="%",
                ours=100 * same.share,
                peer=100 * peeked.share,
                budget=Budget("ours", "at most", 3),
                note=f"{streams} streams; peer: Welch's test at every look",
            ),
            Row(
                metric=f"means {kind}, +5 % found by 5,000 per arm",
                unit="%",
                ours=100 * apart.share,
                higher_is_better=True,
                budget=Budget("ours", "at least", 93),
                note=f"median stop after {apart.median_stop:,.0f}; +2 %: {small.share:.0%}",
            ),
        ]
    return rows


def _rate_rows(streams: int) -> list[Row]:
    same = compare_rates(SEED, streams, 0.02, 0.02)
    apart = compare_rates(SEED + 1, streams, 0.02, 0.04)
    within = guard_rate(SEED + 2, streams, 0.02, 0.02)
    beyond = guard_rate(SEED + 3, streams, 0.03, 0.02)
    return [
        _error_row("failure rates 2 %, A/A false alarms", same),
        _power_row("failure rates 2 % and 4 %, found", apart),
        _error_row("guardrail at its limit of 2 %, false alarms", within),
        _power_row("guardrail of 2 % at a rate of 3 %, found", beyond),
    ]


def _quantile_rows(streams: int) -> list[Row]:
    rows = []
    for p, effect in ((0.5, 0.1), (0.95, 0.2)):
        same = compare_quantiles(SEED, streams, 0.0, p)
        apart = compare_quantiles(SEED + 1, streams, effect, p)
        rows += [
            _error_row(f"p{100 * p:g} latency, A/A false alarms", same),
            _power_row(f"p{100 * p:g} latency, +{effect:.0%} found", apart),
        ]
    return rows


def _coverage_rows(streams: int, few: int) -> list[Row]:
    p95 = math.exp(SIGMA * 1.6448536269514722)
    found = {
        f"coverage of the mean of logarithms, {streams} streams": mean_coverage(SEED, streams),
        f"coverage of a rate of 1 %, {streams} streams": rate_coverage(SEED, streams, 0.01),
        f"coverage of a rate of 30 %, {streams} streams": rate_coverage(SEED, streams, 0.3),
        f"coverage of the median, {few} streams": quantile_coverage(SEED, few, 0.5, 1.0),
        f"coverage of p95, {few} streams": quantile_coverage(SEED, few, 0.95, p95),
    }
    return [
        Row(
            metric=metric,
            unit="%",
            ours=100 * share,
            higher_is_better=True,
            budget=Budget("ours", "at least", 100 * (1 - ALPHA)),
        )
        for metric, share in found.items()
    ]


def _chart_rows(streams: int) -> list[Row]:
    calm = chart_run_lengths(SEED, streams, 0.0, most=40_000)
    shifted = chart_run_lengths(SEED + 1, streams, 1.0, most=1_000)
    return [
        Row(
            metric="EWMA, samples to a false alarm",
            unit="",
            ours=float(calm.mean()),
            higher_is_better=True,
            note="smoothing 0.1, limit 3.5, two-sided",
        ),
        Row(metric="EWMA, samples to notice one sd", unit="", ours=float(shifted.mean())),
    ]


def _error_row(metric: str, found: Rejections) -> Row:
    return Row(metric=metric, unit="%", ours=100 * found.share, budget=Budget("ours", "at most", 5))


def _power_row(metric: str, found: Rejections) -> Row:
    note = f"median stop after {found.median_stop:,.0f} per arm"
    return Row(metric=metric, unit="%", ours=100 * found.share, higher_is_better=True, note=note)
