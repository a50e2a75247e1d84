"""The whole way: our collector, the SDK, OTLP over HTTP, and a collector that decodes it."""

import gzip
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

pytest.importorskip("opentelemetry.sdk.metrics")
pytest.importorskip("opentelemetry.exporter.otlp.proto.http")

from opentelemetry import metrics as api
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import (
    MetricExporter,
    MetricExportResult,
    MetricsData,
    PeriodicExportingMetricReader,
)

from epochly.inference.metrics import CostEstimator, InferenceMetrics, InferenceOTelExporter


class Collector:
    """What an OpenTelemetry collector does with metrics, kept in memory."""

    def __init__(self) -> None:
        self.received: list[ExportMetricsServiceRequest] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.endpoint = f"http://127.0.0.1:{self._server.server_address[1]}/v1/metrics"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        received = self.received

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                if self.headers.get("content-encoding") == "gzip":
                    body = gzip.decompress(body)
                received.append(ExportMetricsServiceRequest.FromString(body))
                answer = ExportMetricsServiceResponse().SerializeToString()
                self.send_response(200)
                self.send_header("content-type", "application/x-protobuf")
                self.send_header("content-length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_args: Any) -> None:
                pass

        return Handler

    def metrics(self) -> dict[str, Any]:
        """The metrics of the last export, by name."""
        return {
            metric.name: metric
            for resource in self.received[-1].resource_metrics
            for scope in resource.scope_metrics
            for metric in scope.metrics
        }

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def collector() -> Iterator[Collector]:
    made = Collector()
    yield made
    made.close()


def attributes(point: Any) -> dict[str, str]:
    return {one.key: one.value.string_value for one in point.attributes}


def pipeline(
    collector: Collector, metrics: InferenceMetrics, opt_in: str
) -> tuple[MeterProvider, InferenceOTelExporter]:
    exporter = InferenceOTelExporter(
        provider_name="octomil", environ={"OTEL_SEMCONV_STABILITY_OPT_IN": opt_in}
    )
    sent = exporter.with_histograms(OTLPMetricExporter(endpoint=collector.endpoint), metrics)
    reader = PeriodicExportingMetricReader(sent, export_interval_millis=float("inf"))
    provider = MeterProvider([reader], shutdown_on_exit=False)
    return provider, InferenceOTelExporter(
        provider, provider_name="octomil", environ={"OTEL_SEMCONV_STABILITY_OPT_IN": opt_in}
    )


def test_what_was_recorded_arrives(collector: Collector):
    metrics = InferenceMetrics()
    provider, exporter = pipeline(collector, metrics, "gen_ai_latest_experimental")
    cost = CostEstimator("T4", custom_rate=3.6)
    cost.record_inference(0.2, 0.1)
    exporter.export(metrics)
    exporter.export_cost(cost)
    exporter.export_safety(golden_store=[1, 2])

    with metrics.start_request("/v1/chat/completions", model_id="phi", tenant="acme") as request:
        request.prompt_tokens = 12
        request.add_tokens(3)
        request.cost_usd = 0.25
    metrics.record_inference("bert", 20.0, trace_id="ab" * 16)
    metrics.record_cache_hit()
    provider.force_flush()

    found = collector.metrics()
    (hits,) = found["epochly.inference.cache.hits"].sum.data_points
    assert hits.as_double == 1.0
    assert found["epochly.inference.cache.hits"].sum.is_monotonic
    (spent,) = found["epochly.inference.cost"].sum.data_points
    assert (attributes(spent), spent.as_double) == (
        {"epochly.model": "phi", "epochly.tenant": "acme"}, 0.25,
    )  # fmt: skip
    per_1k = found["epochly.inference.cost.per_1k_requests"].gauge.data_points
    assert {attributes(one)["epochly.variant"]: one.as_double for one in per_1k} == {
        "baseline": pytest.approx(0.2), "optimized": pytest.approx(0.1),
    }  # fmt: skip
    assert found["epochly.inference.safety.goldens"].gauge.data_points[0].as_int == 2
    assert found["gen_ai.server.request.duration"].unit == "s"
    (duration,) = found["gen_ai.server.request.duration"].histogram.data_points
    assert attributes(duration) == {
        "gen_ai.request.model": "phi",
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "octomil",
    }
    assert duration.count == 1
    tokens = found["gen_ai.client.token.usage"].histogram.data_points
    assert {attributes(one)["gen_ai.token.type"]: one.sum for one in tokens} == {
        "input": 12, "output": 3,
    }  # fmt: skip
    calls = found["epochly.inference.inference.duration"].histogram.data_points
    (bert,) = (one for one in calls if attributes(one)["epochly.model"] == "bert")
    assert sum(bert.bucket_counts) == bert.count == 1
    assert bert.bucket_counts[list(bert.explicit_bounds).index(0.025)] == 1
    assert not bert.HasField("min")
    (exemplar,) = bert.exemplars
    assert exemplar.filtered_attributes[0].value.string_value == "ab" * 16
    provider.shutdown()


def test_each_export_shows_the_state_of_its_moment_once(collector: Collector):
    metrics = InferenceMetrics()
    provider, exporter = pipeline(collector, metrics, "")
    exporter.export(metrics)
    exporter.export(metrics)
    for _ in range(2):
        metrics.record_inference("m", 1.0)
        provider.force_flush()

    counts = []
    for request in collector.received:
        named = [
            metric
            for resource in request.resource_metrics
            for scope in resource.scope_metrics
            for metric in scope.metrics
            if metric.name == "epochly.inference.inferences"
        ]
        ((point,),) = [metric.sum.data_points for metric in named]
        counts.append(point.as_int)
    assert counts == [1, 2]
    provider.shutdown()


def test_histograms_are_cumulative_since_the_collector_began(collector: Collector):
    metrics = InferenceMetrics(wall_clock=lambda: 1_700_000_000.0)
    provider, exporter = pipeline(collector, metrics, "")
    exporter.export(metrics)
    metrics.record_inference("m", 1.0)
    provider.force_flush()

    histogram = collector.metrics()["epochly.inference.inference.duration"].histogram
    assert histogram.aggregation_temporality == 2
    assert histogram.data_points[0].start_time_unix_nano == 1_700_000_000 * 10**9
    provider.shutdown()


def test_global_provider_is_used_where_there_is_one(
    collector: Collector, monkeypatch: pytest.MonkeyPatch
):
    metrics = InferenceMetrics()
    provider, _ = pipeline(collector, metrics, "")
    monkeypatch.setattr(api._internal, "_METER_PROVIDER", provider)

    InferenceOTelExporter(environ={}).export(metrics)
    metrics.record_cache_miss()
    provider.force_flush()

    (misses,) = collector.metrics()["epochly.inference.cache.misses"].sum.data_points
    assert misses.as_double == 1.0
    provider.shutdown()


class Listening(MetricExporter):
    """An exporter that remembers what it was told."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[str] = []

    def export(self, metrics_data: Any, timeout_millis: float = 10_000, **kwargs: Any) -> Any:
        self.told.append("export")
        return MetricExportResult.FAILURE

    def force_flush(self, timeout_millis: float = 10_000) -> bool:
        self.told.append(f"flush {timeout_millis:g}")
        return True

    def shutdown(self, timeout_millis: float = 30_000, **kwargs: Any) -> None:
        self.told.append(f"shutdown {timeout_millis:g}")


def test_wrapped_exporter_is_asked_for_everything():
    inner = Listening()
    wrapped = InferenceOTelExporter().with_histograms(inner, InferenceMetrics())

    assert wrapped.export(MetricsData([])) is MetricExportResult.FAILURE
    assert wrapped.force_flush(5) is True
    wrapped.shutdown(7)

    assert inner.told == ["export", "flush 5", "shutdown 7"]
