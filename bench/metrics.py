"""What it costs to count, and to be scraped; the peer is prometheus_client."""

from collections.abc import Callable, Mapping
from time import thread_time

from prometheus_client import CollectorRegistry, disable_created_metrics, generate_latest
from prometheus_client import Counter as PeerCounter
from prometheus_client import Histogram as PeerHistogram

from bench.cpu import load_core, on_cores, usable_cores
from bench.report import Budget, Row, compare
from epochly.inference.metrics.buckets import LATENCY_S
from epochly.inference.metrics.collector import InferenceMetrics
from epochly.inference.metrics.exposition import exposition
from epochly.inference.metrics.instruments import Counter, Histogram
from epochly.inference.metrics.prometheus import PrometheusExporter

COVERS = ("epochly/inference/metrics",)

_LABELLED = ("model",)
_HISTOGRAM_LINES = len(LATENCY_S) + 3
_US, _MS = 1e6, 1e3


def run(quick: bool) -> list[Row]:
    """Measure alternately with prometheus_client, without the `_created` lines it would add."""
    disable_created_metrics()  # type: ignore[no-untyped-call]  # the peer's own lack
    repeats, calls = (3, 5_000) if quick else (15, 50_000)
    with on_cores(load_core(usable_cores())):
        return [
            _inference_row(repeats, calls),
            _request_row(repeats, calls),
            _cache_row(repeats, calls),
            _generation_row(repeats, calls // 10),
            _counters_row(repeats),
            _histograms_row(repeats),
            _export_row(repeats),
        ]


def _inference_row(repeats: int, calls: int) -> Row:
    metrics = InferenceMetrics()
    peer = PeerHistogram("h", "H", _LABELLED, buckets=LATENCY_S, registry=CollectorRegistry())
    actions = {
        "ours": lambda: metrics.record_inference("model-1", 12.5),
        "peer": lambda: peer.labels("model-1").observe(0.0125),
        "floor": lambda: _nothing("model-1", 12.5),
    }
    return compare(
        "record_inference",
        "µs",
        _cpu_per_call(actions, repeats, calls, _US),
        budget=Budget("ours", "at most", 1),
        note="CPU; the peer's is labels().observe(), the floor a function that does nothing",
    )


def _request_row(repeats: int, calls: int) -> Row:
    metrics = InferenceMetrics()
    labels = ("endpoint", "outcome")
    peer = PeerHistogram("h", "H", labels, buckets=LATENCY_S, registry=CollectorRegistry())
    actions = {
        "ours": lambda: metrics.record_request("/predict", 12.5),
        "peer": lambda: peer.labels("/predict", "ok").observe(0.0125),
    }
    taken = _cpu_per_call(actions, repeats, calls, _US)
    return compare("record_request", "µs", taken, budget=Budget("ours", "at most", 1))


def _cache_row(repeats: int, calls: int) -> Row:
    metrics = InferenceMetrics()
    peer = PeerCounter("c", "C", registry=CollectorRegistry())
    actions = {"ours": metrics.record_cache_hit, "peer": peer.inc}
    taken = _cpu_per_call(actions, repeats, calls, _US)
    return compare("record_cache_hit", "µs", taken, budget=Budget("ours", "at most", 1))


def _generation_row(repeats: int, calls: int) -> Row:
    metrics = InferenceMetrics()

    def one_request() -> None:
        with metrics.start_request("/v1/chat/completions", model_id="model-1") as request:
            request.begin()
            request.prompt_tokens = 12
            request.add_tokens()
            request.add_tokens()

    return compare(
        "a whole request, start to end",
        "µs",
        _cpu_per_call({"ours": one_request}, repeats, calls, _US),
        note="twelve series: times, tokens by model and tenant, outcome, requests in flight",
    )


def _counters_row(repeats: int) -> Row:
    registry = CollectorRegistry()
    ours = Counter("c_total", "C", _LABELLED)
    peer = PeerCounter("c", "C", _LABELLED, registry=registry)
    for number in range(1000):
        ours.add(number, f"model-{number}")
        peer.labels(f"model-{number}").inc(number)
    actions = {
        "ours": lambda: exposition([ours]),
        "peer": lambda: generate_latest(registry),
    }
    return compare(
        "scrape 1,000 counters",
        "ms",
        _cpu_per_call(actions, repeats, 20, _MS),
        budget=Budget("ours", "at most", 1),
        note="CPU",
    )


def _histograms_row(repeats: int) -> Row:
    registry = CollectorRegistry()
    ours = Histogram("h", "H", _LABELLED, LATENCY_S)
    peer = PeerHistogram("h", "H", _LABELLED, buckets=LATENCY_S, registry=registry)
    for number in range(1000 // _HISTOGRAM_LINES + 1):
        ours.observe(number / 10, f"model-{number}")
        peer.labels(f"model-{number}").observe(number / 10)
    actions = {
        "ours": lambda: exposition([ours]),
        "peer": lambda: generate_latest(registry),
    }
    taken = _cpu_per_call(actions, repeats, 20, _MS)
    return compare(
        "scrape 1,000 series of histograms",
        "ms",
        taken,
        budget=Budget("ours", "at most", 1),
        note=f"{1000 // _HISTOGRAM_LINES + 1} histograms with {_HISTOGRAM_LINES} lines each",
    )


def _export_row(repeats: int) -> Row:
    metrics = InferenceMetrics()
    while len(PrometheusExporter.export(metrics).splitlines()) < 1000:
        metrics.record_inference(f"model-{len(metrics.latency.series)}", 12.5)
    lines = len(PrometheusExporter.export(metrics).splitlines())
    actions = {"ours": lambda: PrometheusExporter.export(metrics)}
    return compare(
        "PrometheusExporter.export, 1,000 lines",
        "ms",
        _cpu_per_call(actions, repeats, 20, _MS),
        budget=Budget("ours", "at most", 1),
        note=f"{lines} lines of {len(metrics.latency.series)} models, all families",
    )


def _nothing(_model_id: str, _latency_ms: float) -> None:
    """Where the measuring itself is measured."""


def _cpu_per_call(
    actions: Mapping[str, Callable[[], object]], repeats: int, calls: int, per_s: float
) -> dict[str, list[float]]:
    """CPU of one call, in turn; the first round warms up and is dropped."""
    taken: dict[str, list[float]] = {key: [] for key in actions}
    for round_number in range(repeats + 1):
        for key, act in actions.items():
            started_s = thread_time()
            for _ in range(calls):
                act()
            if round_number:
                taken[key].append((thread_time() - started_s) / calls * per_s)
    return taken
