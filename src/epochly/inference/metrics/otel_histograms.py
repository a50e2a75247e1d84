"""The collector's histograms beside what the OpenTelemetry SDK has collected itself.

The SDK can observe counters and gauges that others keep, and no histograms. So they join on the
way out, as the SDK's own data points. Imported only where the SDK is in use.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from opentelemetry.sdk.metrics import Exemplar as SdkExemplar
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    Histogram,
    HistogramDataPoint,
    Metric,
    MetricExporter,
    MetricExportResult,
    MetricsData,
    ResourceMetrics,
    ScopeMetrics,
)
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

from epochly.inference.metrics.distribution import Distribution
from epochly.inference.metrics.semconv import Attributes, Instrument


class HistogramExporter(MetricExporter):
    """Adds histograms to what another exporter sends.

    Args:
        inner: sends all of it.
        read: returns the histograms.
        scope: the instrumentation scope they belong to.
        started_unix_s: since when they are counted, in seconds since 1970.
    """

    def __init__(
        self,
        inner: MetricExporter,
        read: Callable[[], Iterable[Instrument]],
        scope: str,
        started_unix_s: float,
    ) -> None:
        super().__init__(inner._preferred_temporality, inner._preferred_aggregation)  # noqa: SLF001 - the SDK's reader takes them from there
        self._inner = inner
        self._read = read
        self._scope = InstrumentationScope(scope)
        self._started_ns = round(started_unix_s * 1e9)

    def export(
        self, metrics_data: MetricsData, timeout_millis: float = 10_000, **kwargs: Any
    ) -> MetricExportResult:
        """Send the SDK's metrics and ours under each resource of the SDK's."""
        ours = self._histograms()
        resources: list[ResourceMetrics] = [
            replace(part, scope_metrics=self._joined(part.scope_metrics, ours))
            for part in metrics_data.resource_metrics
        ]
        return self._inner.export(MetricsData(resources), timeout_millis, **kwargs)

    def _joined(
        self, scopes: Sequence[ScopeMetrics], histograms: list[Metric]
    ) -> list[ScopeMetrics]:
        """Put the histograms into their scope, because a scope may be there once only."""
        found = [one for one in scopes if one.scope == self._scope]
        others = [one for one in scopes if one.scope != self._scope]
        metrics = [metric for one in found for metric in one.metrics]
        return [*others, ScopeMetrics(self._scope, [*metrics, *histograms], schema_url="")]

    def force_flush(self, timeout_millis: float = 10_000) -> bool:
        """Wait until everything is sent."""
        return self._inner.force_flush(timeout_millis)

    def shutdown(self, timeout_millis: float = 30_000, **kwargs: Any) -> None:
        """Send what is left, and stop."""
        self._inner.shutdown(timeout_millis, **kwargs)

    def _histograms(self) -> list[Metric]:
        now_ns = round(datetime.now(UTC).timestamp() * 1e9)
        return [
            Metric(one.name, one.metric.doc, one.unit, self._data(one, now_ns))
            for one in self._read()
        ]

    def _data(self, one: Instrument, now_ns: int) -> Histogram:
        edges = one.metric.edges
        points = [
            self._point(attributes, seen, edges, now_ns)
            for attributes, seen in one.points()
            if isinstance(seen, Distribution)
        ]
        return Histogram(points, AggregationTemporality.CUMULATIVE)

    def _point(
        self, attributes: Attributes, seen: Distribution, edges: tuple[float, ...], now_ns: int
    ) -> HistogramDataPoint:
        return HistogramDataPoint(
            attributes=attributes,
            start_time_unix_nano=self._started_ns,
            time_unix_nano=now_ns,
            count=seen.count,
            sum=seen.total,
            bucket_counts=seen.counts_between(edges),
            explicit_bounds=edges,
            min=None,  # type: ignore[arg-type]  # optional on the wire, and not kept
            max=None,  # type: ignore[arg-type]  # likewise
            exemplars=[
                SdkExemplar(
                    {exemplar.label: exemplar.identifier},
                    exemplar.value,
                    now_ns if exemplar.unix_s is None else round(exemplar.unix_s * 1e9),
                )
                for exemplar in seen.exemplars.values()
            ],
        )
