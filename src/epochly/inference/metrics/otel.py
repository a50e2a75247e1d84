"""The same metrics under their OpenTelemetry names."""

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sized
from threading import Lock
from typing import TYPE_CHECKING, Any

from epochly.inference.config.environment import ENVIRONMENT
from epochly.inference.config.variables import SEMCONV_OPT_IN
from epochly.inference.metrics import documented, summary
from epochly.inference.metrics.distribution import Distribution
from epochly.inference.metrics.instruments import Metric
from epochly.inference.metrics.safety import Breakers, HasScores, gates
from epochly.inference.metrics.semconv import (
    Instrument,
    instrument,
    opted_in,
)

if TYPE_CHECKING:
    from opentelemetry.metrics import CallbackOptions, MeterProvider, Observation
    from opentelemetry.sdk.metrics.export import MetricExporter

    from epochly.inference.metrics.collector import InferenceMetrics
    from epochly.inference.metrics.cost import CostEstimator

_SCOPE = "epochly.inference"


class InferenceOTelExporter:
    """Maps InferenceMetrics to OpenTelemetry instrument names.

    Each `export…` method returns plain values, with or without the OpenTelemetry packages: a
    number for what has no attributes, else one dictionary per series. Where there is an SDK meter
    provider, the first call of each also registers its counters and gauges there as observable
    instruments, which from then on show what was exported last. Use one exporter per collector.

    Histograms are counted by the collector, at a fraction of what the SDK's own cost; to
    send them on, wrap the SDK's exporter by :meth:`with_histograms`.

    Args:
        meter_provider: where to register; the global SDK provider by default, if there is one.
        provider_name: `gen_ai.provider.name`, which the conventions require.
        environ: the environment, for `OTEL_SEMCONV_STABILITY_OPT_IN`.

    Example:
        >>> from epochly.inference import InferenceMetrics
        >>> metrics = InferenceMetrics()
        >>> metrics.record_cache_hit()
        >>> InferenceOTelExporter().export(metrics)["epochly.inference.cache.hits"]
        1.0
    """

    def __init__(
        self,
        meter_provider: "MeterProvider | None" = None,
        *,
        provider_name: str = "epochly",
        environ: Mapping[str, str] = ENVIRONMENT,
    ) -> None:
        self._gen_ai = opted_in(SEMCONV_OPT_IN.read(environ))
        self._provider_name = provider_name
        self._meter_provider = meter_provider
        self._sources: dict[str, list[Metric]] = {}
        self._registered: set[str] = set()
        self._registering = Lock()

    def export(self, metrics: "InferenceMetrics") -> dict[str, Any]:
        """Return everything counted, by OpenTelemetry name."""
        return self._publish(
            "inference",
            [
                documented.requests(lambda: summary.total(metrics.requests))[0],
                documented.inferences(metrics.latency.counts)[1],
                documented.cache_hit_rate(metrics),
                *metrics.families(),
            ],
        )

    def export_cost(self, cost_estimator: "CostEstimator") -> dict[str, Any]:
        """Return what inference costs and saves, by OpenTelemetry name."""
        return self._publish("cost", list(documented.costs(cost_estimator)))

    def export_safety(
        self,
        breakers: Breakers | None = None,
        drift_monitor: HasScores | None = None,
        golden_store: Sized | None = None,
    ) -> dict[str, Any]:
        """Return how the safety gates stand, by OpenTelemetry name; what is not given is absent.

        Args:
            breakers: by the name of what they protect, or a list of `CircuitBreaker`, which know
                it. 0 is closed, 1 half open, 2 open.
            drift_monitor: its scores, of every optimisation that its diagnostics name.
            golden_store: how many goldens it has.

        Raises:
            ConfigurationError: one of them cannot tell how it stands.
        """
        found = gates(breakers, drift_monitor, golden_store)
        return self._publish("safety", found)

    def with_histograms(
        self, exporter: "MetricExporter", metrics: "InferenceMetrics"
    ) -> "MetricExporter":
        """Wrap the SDK's exporter, so that it sends the collector's histograms along.

        Args:
            exporter: such as `OTLPMetricExporter()`. Give what is returned to the
                `PeriodicExportingMetricReader`.
            metrics: whose histograms; they are cumulative.

        Raises:
            MissingDependencyError: the OpenTelemetry SDK is not installed.
        """
        from epochly._optional import require

        require(
            "opentelemetry.sdk.metrics", package="opentelemetry-sdk", purpose="sending histograms"
        )
        from epochly.inference.metrics.otel_histograms import HistogramExporter

        def read() -> list[Instrument]:
            named = map(self._named, metrics.families())
            return [one for one in named if one.kind == "histogram"]

        return HistogramExporter(exporter, read, _SCOPE, metrics.started_unix_s)

    def _publish(self, source: str, metrics: list[Metric]) -> dict[str, Any]:
        self._sources[source] = metrics
        named = list(map(self._named, metrics))
        provider = self._meter_provider or _global_provider()
        if provider is not None:
            with self._registering:
                self._register(provider, source, named)
        return {one.name: _plain(one) for one in named}

    def _named(self, metric: Metric) -> Instrument:
        return instrument(metric, gen_ai=self._gen_ai, provider_name=self._provider_name)

    def _register(self, provider: "MeterProvider", source: str, named: list[Instrument]) -> None:
        meter = provider.get_meter(_SCOPE)
        for one in named:
            if one.kind == "histogram" or one.name in self._registered:
                continue
            self._registered.add(one.name)
            create = (
                meter.create_observable_counter
                if one.kind == "counter"
                else meter.create_observable_gauge
            )
            create(one.name, [self._callback(source, one.name)], one.unit, one.metric.doc)

    def _callback(
        self, source: str, name: str
    ) -> "Callable[[CallbackOptions], Iterable[Observation]]":
        from opentelemetry.metrics import Observation

        def observe(_options: "CallbackOptions") -> "Iterator[Observation]":
            for one in map(self._named, self._sources[source]):
                if one.name == name:
                    for attributes, value in one.points():
                        if not isinstance(value, Distribution):
                            yield Observation(value, attributes)

        return observe


def _plain(one: Instrument) -> Any:
    if not one.metric.labels:
        return next((_value(value, one) for _, value in one.points()), 0.0)
    return [{"attributes": attributes, **_point(value, one)} for attributes, value in one.points()]


def _point(value: float | Distribution, one: Instrument) -> dict[str, Any]:
    plain = _value(value, one)
    return plain if isinstance(plain, dict) else {"value": plain}


def _value(value: float | Distribution, one: Instrument) -> Any:
    if not isinstance(value, Distribution):
        return value
    return {
        "count": value.count,
        "sum": value.total,
        "explicit_bounds": list(one.metric.edges),
        "bucket_counts": value.counts_between(one.metric.edges),
    }


def _global_provider() -> "MeterProvider | None":
    """The meter provider of the process, if an SDK is at work behind it."""
    if "opentelemetry.sdk.metrics" not in sys.modules:
        return None
    from opentelemetry.metrics import get_meter_provider
    from opentelemetry.sdk.metrics import MeterProvider

    provider = get_meter_provider()
    return provider if isinstance(provider, MeterProvider) else None
