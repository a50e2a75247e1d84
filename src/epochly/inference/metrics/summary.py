"""The collector's plain dictionaries."""

from typing import TYPE_CHECKING, Any

from epochly.inference.metrics.distribution import Distribution, together
from epochly.inference.metrics.instruments import Counter, Histogram, LabelValue, LabelValues

if TYPE_CHECKING:
    from epochly.inference.metrics.collector import InferenceMetrics


def everything(metrics: "InferenceMetrics") -> dict[str, Any]:
    """Return what `InferenceMetrics.get_all_metrics` does."""
    models = {labels[0]: model(metrics, labels[0]) for labels in list(metrics.latency.series)}
    return {
        "requests": requests(metrics),
        "inferences": total(metrics.latency).count,
        "models": models,
        "cache": cache(metrics),
        "gpu": {labels[0]: gpu(metrics, labels) for labels in _gpu_models(metrics)},
        "tokens": {
            "prompt": round(_sum(metrics.prompt_tokens)),
            "cached": round(_sum(metrics.cached_tokens)),
            "completion": round(_sum(metrics.completion_tokens)),
        },
        "cost_usd": _by_tenant(metrics.cost),
        "dropped": sum(count for _, count in dropped(metrics)),
    }


def requests(metrics: "InferenceMetrics") -> dict[str, Any]:
    """Return the part about requests."""
    seen = total(metrics.requests)
    by_endpoint: dict[LabelValue, dict[str, Any]] = {}
    for (endpoint, outcome), value in metrics.requests.collect():
        part = by_endpoint.setdefault(endpoint, {"total": 0, "total_ms": 0.0, "outcomes": {}})
        part["total"] += value.count
        part["total_ms"] += value.total * 1000
        part["outcomes"][outcome] = value.count
    for part in by_endpoint.values():
        part["avg_latency_ms"] = part.pop("total_ms") / part["total"]
    return {
        "total": seen.count,
        "avg_latency_ms": seen.mean * 1000,
        "in_flight": round(metrics.in_flight.value()),
        "by_endpoint": by_endpoint,
    }


def model(metrics: "InferenceMetrics", model_id: LabelValue) -> dict[str, Any] | None:
    """Return what `InferenceMetrics.get_model_stats` does."""
    seen = metrics.latency.read(model_id)
    if not seen.count:
        return None
    samples_seen = seen.count + round(metrics.further_samples.value(model_id))
    errors = [n for (of, _), n in metrics.errors.collect() if of == model_id]
    stats: dict[str, Any] = {
        "inferences": seen.count,
        "samples": samples_seen,
        "avg_batch_size": samples_seen / seen.count,
        "errors": round(sum(errors)),
        "avg_latency_ms": seen.mean * 1000,
        "gpu_seconds": metrics.gpu_seconds.value(model_id),
    }
    for percent in (50, 95, 99):
        stats[f"p{percent}_latency_ms"] = seen.quantile(percent / 100) * 1000
    return stats | {f"gpu_{name}": share for name, share in gpu(metrics, (model_id,)).items()}


def gpu(metrics: "InferenceMetrics", labels: LabelValues) -> dict[str, float]:
    """Return how busy the GPU of a model is, as far as it was told."""
    shares = {"utilization": metrics.gpu, "memory_utilization": metrics.gpu_memory}
    told = {name: dict(gauge.collect()).get(labels) for name, gauge in shares.items()}
    return {name: share for name, share in told.items() if share is not None}


def cache(metrics: "InferenceMetrics") -> dict[str, Any]:
    """Return what `InferenceMetrics.get_cache_stats` does."""
    hits, misses = round(metrics.hits.value()), round(metrics.misses.value())
    looked_up = hits + misses
    return {"hits": hits, "misses": misses, "hit_rate": hits / looked_up if looked_up else 0.0}


def samples(metrics: "InferenceMetrics") -> list[tuple[LabelValues, float]]:
    """Return how many samples each model answered."""
    further = metrics.further_samples
    return [(labels, n + further.value(*labels)) for labels, n in metrics.latency.counts()]


def dropped(metrics: "InferenceMetrics") -> list[tuple[LabelValues, float]]:
    """Return, for each metric that is full, how many records went to `other`."""
    return [((family.name,), family.dropped) for family in metrics.own if family.dropped]


def total(family: Histogram) -> Distribution:
    """Return all series of a histogram as one."""
    return together((seen for _, seen in family.collect()), family.bounds)


def _gpu_models(metrics: "InferenceMetrics") -> list[LabelValues]:
    shown = (*metrics.gpu.collect(), *metrics.gpu_memory.collect())
    return list(dict.fromkeys(labels for labels, _ in shown))


def _sum(family: Counter) -> float:
    return sum(value for _, value in family.collect())


def _by_tenant(family: Counter) -> dict[str, float]:
    costs: dict[str, float] = {}
    for (_, tenant), value in family.collect():
        costs[str(tenant)] = costs.get(str(tenant), 0.0) + value
    return costs
