"""Counts, times and costs of inference, and their way out to Prometheus and OpenTelemetry."""

from epochly._catalog import lazy_exports

_HOMES = {
    "CostEstimator": "epochly.inference.metrics.cost",
    "Generation": "epochly.inference.metrics.generation",
    "InferenceMetrics": "epochly.inference.metrics.collector",
    "InferenceOTelExporter": "epochly.inference.metrics.otel",
    "PrometheusExporter": "epochly.inference.metrics.prometheus",
    "RequestRecorder": "epochly.inference.metrics.request",
}

__all__ = [
    "CostEstimator",
    "Generation",
    "InferenceMetrics",
    "InferenceOTelExporter",
    "PrometheusExporter",
    "RequestRecorder",
]

__getattr__, __dir__ = lazy_exports(__name__, _HOMES)
