import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families as classic

from epochly.inference.metrics import CostEstimator, InferenceMetrics, PrometheusExporter
from epochly.inference.metrics.distribution import Exemplar
from support.manual_clock import ManualClock
from support.prometheus import Metric, read_metrics

PREFIX = "epochly_inference_"
DOCUMENTED = {
    "requests_total": "counter",
    "request_latency_avg_ms": "gauge",
    "inferences_total": "counter",
    "inferences_per_model": "counter",
    "latency_seconds": "histogram",
    "cache_hits_total": "counter",
    "cache_misses_total": "counter",
    "cache_hit_rate": "gauge",
    "gpu_utilization": "gauge",
    "gpu_memory_utilization": "gauge",
    "cost_per_1k_requests_usd": "gauge",
    "cost_savings_per_hour_usd": "gauge",
    "cost_savings_per_month_usd": "gauge",
}
PER_MODEL = {"inferences_per_model", "gpu_utilization", "gpu_memory_utilization"}


@pytest.fixture
def metrics() -> InferenceMetrics:
    return InferenceMetrics(wall_clock=lambda: 1_700_000_000.0)


def read(metrics: InferenceMetrics, **options) -> dict[str, Metric]:
    found = read_metrics(PrometheusExporter.export(metrics, **options))
    return {name.removeprefix(PREFIX): metric for name, metric in found.items()}


def test_every_documented_metric_is_there_from_the_start(metrics: InferenceMetrics):
    found = read(metrics)

    for name, kind in DOCUMENTED.items():
        assert found[name].kind == kind
        assert set(found[name].samples.values()) == (set() if name in PER_MODEL else {0.0})


def test_values_are_those_recorded(metrics: InferenceMetrics):
    metrics.record_request("/a", 10.0)
    metrics.record_request("/b", 30.0, outcome="cancelled")
    metrics.record_inference("bert", 4.0, batch_size=8)
    metrics.record_inference("bert", 40.0)
    metrics.record_inference(7, 9_000.0)
    metrics.record_cache_hit()
    metrics.record_cache_miss()
    metrics.record_gpu("bert", 0.5, 0.25)

    found = read(metrics)

    assert found["requests_total"].value() == 2
    assert found["request_latency_avg_ms"].value() == 20.0
    assert found["inferences_total"].value() == 3
    assert found["inferences_per_model"].value(model="bert") == 2
    assert found["inferences_per_model"].value(model="7") == 1
    assert found["samples_total"].value(model="bert") == 9
    assert found["latency_seconds"].value("_bucket", le="0.005") == 1
    assert found["latency_seconds"].value("_bucket", le="0.05") == 2
    assert found["latency_seconds"].value("_bucket", le="+Inf") == 3
    assert found["latency_seconds"].value("_sum") == pytest.approx(9.044)
    assert found["model_latency_seconds"].value("_count", model="bert") == 2
    assert (found["cache_hits_total"].value(), found["cache_misses_total"].value()) == (1, 1)
    assert found["cache_hit_rate"].value() == 0.5
    assert found["gpu_utilization"].value(model="bert") == 0.5
    assert found["gpu_memory_utilization"].value(model="bert") == 0.25
    duration = found["request_duration_seconds"]
    assert duration.value("_count", endpoint="/b", outcome="cancelled") == 1


def test_costs_come_in_both_variants(metrics: InferenceMetrics):
    clock = ManualClock()
    cost = CostEstimator("H100", custom_rate=3.6, clock=clock)
    for _ in range(2):
        cost.record_inference(0.1, 0.3)
        clock.advance(900.0)

    found = read(metrics, cost=cost)

    per_1k = found["cost_per_1k_requests_usd"]
    assert per_1k.value(variant="baseline") == pytest.approx(0.1)
    assert per_1k.value(variant="optimized") == pytest.approx(0.3)
    assert found["cost_savings_per_hour_usd"].value() == pytest.approx(-0.0008)
    assert found["cost_savings_per_month_usd"].value() == pytest.approx(-0.0008 * 730)


def test_other_buckets_can_be_shown(metrics: InferenceMetrics):
    for latency_ms in (1.0, 20.0, 300.0, 4_000.0):
        metrics.record_inference("m", latency_ms)

    found = read(metrics, latency_buckets=[1.0, 0.01, 0.1])

    for name, labels in (("latency_seconds", {}), ("model_latency_seconds", {"model": "m"})):
        edges = ("0.01", "0.1", "1.0", "+Inf")
        counts = [found[name].value("_bucket", le=edge, **labels) for edge in edges]
        assert counts == [1, 2, 3, 4]
    with pytest.raises(ValueError, match="bucket edges"):
        PrometheusExporter.export(metrics, latency_buckets=[])


def test_collectors_own_buckets_are_shown():
    metrics = InferenceMetrics(latency_buckets=(0.3, 0.7))
    metrics.record_inference("m", 500.0)

    assert read(metrics)["latency_seconds"].value("_bucket", le="0.7") == 1


def test_models_are_called_as_told(metrics: InferenceMetrics):
    for model in (140_737, "b", "c"):
        metrics.record_inference(model, 1.0)
        metrics.record_gpu(model, 0.5)

    found = read(metrics, model_labels={140_737: "bert", "b": "bert"})

    assert found["inferences_per_model"].value(model="bert") == 2
    assert found["inferences_per_model"].value(model="c") == 1
    assert found["model_latency_seconds"].value("_count", model="bert") == 2
    assert found["gpu_utilization"].value(model="bert") == 0.5


def exemplars(text: str, name: str) -> dict[str, str]:
    family = next(one for one in openmetrics(text) if one.name == f"{PREFIX}{name}")
    return {
        sample.labels["le"]: sample.exemplar.labels["trace_id"]
        for sample in family.samples
        if sample.exemplar
    }


def test_recorded_exemplars_make_it_openmetrics(metrics: InferenceMetrics):
    metrics.record_inference("m", 20.0, trace_id="abc")

    text = PrometheusExporter.export(metrics, exemplars=True)

    assert text.endswith("# EOF\n")
    assert exemplars(text, "latency_seconds") == {"0.025": "abc"}
    assert exemplars(text, "model_latency_seconds") == {"0.025": "abc"}


@pytest.mark.parametrize("off", [None, False])
def test_without_exemplars_it_is_the_classic_text(metrics: InferenceMetrics, off):
    metrics.record_inference("m", 20.0, trace_id="abc")

    text = PrometheusExporter.export(metrics, exemplars=off)

    assert "# EOF" not in text
    assert "abc" not in text


def test_exemplars_can_be_given(metrics: InferenceMetrics):
    metrics.record_inference("m", 20.0)
    given = {"m": Exemplar("from-outside", 0.02), "unknown": Exemplar("nowhere", 1.0)}

    text = PrometheusExporter.export(metrics, exemplars=given)

    assert exemplars(text, "model_latency_seconds") == {"0.025": "from-outside"}
    assert "nowhere" not in text
    assert metrics.latency.read("m").exemplars == {}


def test_both_parsers_of_prometheus_read_the_same(metrics: InferenceMetrics):
    metrics.record_inference('a"b\\c\nd', 20.0, trace_id='"}\n')
    metrics.record_request("/a", 1.0)
    metrics.start_request("/v1/chat/completions", model_id="phi").end("cancelled")

    old = classic(PrometheusExporter.export(metrics))
    new = openmetrics(PrometheusExporter.export(metrics, exemplars=True))

    def values(families):
        return {
            (sample.name.removesuffix("_total"), tuple(sorted(sample.labels.items()))): sample.value
            for family in families
            for sample in family.samples
        }

    assert values(old) == values(new)


def test_totals_agree_with_their_parts(metrics: InferenceMetrics):
    for number in range(50):
        metrics.record_inference(f"m{number % 7}", float(number))

    found = read(metrics)

    total = found["inferences_total"].value()
    assert total == sum(found["inferences_per_model"].samples.values()) == 50
    assert found["latency_seconds"].value("_count") == total
