"""Counts, times and costs of inference, and their way out to Prometheus and OpenTelemetry."""

from epochly.inference.metrics.collector import InferenceMetrics
from epochly.inference.metrics.cost import CostEstimator
from epochly.inference.metrics.generation import Generation
from epochly.inference.metrics.gpu import NvmlGpus
from epochly.inference.metrics.otel import InferenceOTelExporter
from epochly.inference.metrics.prometheus import PrometheusExporter
from epochly.inference.metrics.request import RequestRecorder

__all__ = [
    "CostEstimator",
    "Generation",
    "InferenceMetrics",
    "InferenceOTelExporter",
    "NvmlGpus",
    "PrometheusExporter",
    "RequestRecorder",
]
