"""The documented metrics that are worked out from what was counted, rather than counted.

What they are worked out from is handed over as a function, which may read anew each time, or
return one reading that several share.
"""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from epochly.inference.metrics import summary
from epochly.inference.metrics.distribution import Distribution
from epochly.inference.metrics.families import PREFIX
from epochly.inference.metrics.instruments import Kind, LabelValues, Reading

if TYPE_CHECKING:
    from epochly.inference.metrics.collector import InferenceMetrics
    from epochly.inference.metrics.cost import CostEstimator

Counts = Iterable[tuple[LabelValues, int]]


def requests(read: Callable[[], Distribution]) -> list[Reading]:
    """Return how many requests there were, and how long they took on average."""
    return [
        _one("requests_total", "Total HTTP requests processed", lambda: read().count, "counter"),
        _one(
            "request_latency_avg_ms",
            "Average request latency in milliseconds",
            lambda: read().mean * 1000,
        ),
    ]


def inferences(counts: Callable[[], Counts]) -> list[Reading]:
    """Return how many calls there were: of all models, and of each."""
    return [
        _one(
            "inferences_total",
            "Total model inference calls",
            lambda: sum(count for _, count in counts()),
            "counter",
        ),
        Reading(
            f"{PREFIX}inferences_per_model",
            "Per-model inference counts",
            ("model",),
            counts,
            kind="counter",
        ),
    ]


def latency(read: Callable[[], Distribution], edges: tuple[float, ...]) -> Reading:
    """Return how long the calls of all models took.

    Args:
        read: returns the calls.
        edges: in seconds, to show.
    """
    return Reading(
        f"{PREFIX}latency_seconds",
        "Inference latency distribution in seconds",
        (),
        lambda: [((), read())],
        kind="histogram",
        edges=edges,
    )


def cache_hit_rate(metrics: "InferenceMetrics") -> Reading:
    """Return the share of look-ups that hit."""
    return _one(
        "cache_hit_rate", "Cache hit rate (0.0-1.0)", lambda: summary.cache(metrics)["hit_rate"]
    )


def costs(cost: "CostEstimator | None") -> list[Reading]:
    """Return what inference costs and saves; zeros where nobody estimates it."""

    def per_1k() -> list[tuple[LabelValues, float]]:
        baseline, optimized = cost.cost_per_1k_requests if cost else (0.0, 0.0)
        return [(("baseline",), baseline), (("optimized",), optimized)]

    return [
        Reading(
            f"{PREFIX}cost_per_1k_requests_usd",
            "Cost per 1000 requests in USD",
            ("variant",),
            per_1k,
        ),
        _one(
            "cost_savings_per_hour_usd",
            "Projected hourly savings in USD",
            lambda: cost.projected_hourly_savings if cost else 0.0,
        ),
        _one(
            "cost_savings_per_month_usd",
            "Projected monthly savings in USD",
            lambda: cost.projected_monthly_savings if cost else 0.0,
        ),
    ]


def _one(name: str, doc: str, read: Callable[[], float], kind: Kind = "gauge") -> Reading:
    """A metric of one series without labels."""
    return Reading(f"{PREFIX}{name}", doc, (), lambda: [((), read())], kind=kind)
