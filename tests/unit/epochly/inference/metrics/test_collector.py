import threading

import pytest

from epochly.inference.metrics import Generation, InferenceMetrics
from epochly.inference.metrics.instruments import OTHER

NAN, INF = float("nan"), float("inf")


@pytest.fixture
def metrics() -> InferenceMetrics:
    return InferenceMetrics(wall_clock=lambda: 1_700_000_000.0)


def test_fresh_collector_tells_zeros(metrics: InferenceMetrics):
    assert metrics.get_all_metrics() == {
        "requests": {"total": 0, "avg_latency_ms": 0.0, "in_flight": 0, "by_endpoint": {}},
        "inferences": 0,
        "models": {},
        "cache": {"hits": 0, "misses": 0, "hit_rate": 0.0},
        "gpu": {},
        "tokens": {"prompt": 0, "cached": 0, "completion": 0},
        "cost_usd": {},
        "dropped": 0,
    }
    assert metrics.get_model_stats("nobody") is None


def test_requests_are_counted_by_endpoint_and_outcome(metrics: InferenceMetrics):
    metrics.record_request("/a", 10.0)
    metrics.record_request("/a", 30.0, outcome="queue_full")
    metrics.record_request("/b", 50.0, outcome="cancelled", trace_id="t" * 32)

    requests = metrics.get_all_metrics()["requests"]
    assert (requests["total"], requests["avg_latency_ms"]) == (3, pytest.approx(30.0))
    assert requests["by_endpoint"]["/a"] == {
        "total": 2,
        "outcomes": {"ok": 1, "queue_full": 1},
        "avg_latency_ms": pytest.approx(20.0),
    }
    (exemplar,) = metrics.requests.read("/b", "cancelled").exemplars.values()
    assert (exemplar.identifier, exemplar.value, exemplar.unix_s) == ("t" * 32, 0.05, 1.7e9)


def test_model_is_told_with_its_quantiles(metrics: InferenceMetrics):
    for latency_ms in range(1, 101):
        metrics.record_inference("bert", float(latency_ms))

    stats = metrics.get_model_stats("bert")

    assert stats is not None
    assert (stats["inferences"], stats["samples"], stats["avg_batch_size"]) == (100, 100, 1.0)
    assert stats["avg_latency_ms"] == pytest.approx(50.5)
    for percent in (50, 95, 99):
        assert stats[f"p{percent}_latency_ms"] == pytest.approx(percent, rel=0.1)
    assert (stats["errors"], stats["gpu_seconds"]) == (0, 0.0)
    assert "gpu_utilization" not in stats


def test_call_of_a_model_has_samples_gpu_time_an_error_and_a_trace(metrics: InferenceMetrics):
    metrics.record_inference(7, 12.5, 8, gpu_ms=10.0)
    metrics.record_inference(7, 12.5, batch_size=4, gpu_ms=0.0, error="out_of_memory")
    metrics.record_inference(7, 2.0, trace_id="abc")

    stats = metrics.get_model_stats(7)

    assert stats is not None
    assert (stats["inferences"], stats["samples"], stats["errors"]) == (3, 13, 1)
    assert stats["avg_batch_size"] == pytest.approx(13 / 3)
    assert stats["gpu_seconds"] == pytest.approx(0.01)
    assert metrics.errors.value(7, "out_of_memory") == 1
    assert [one.identifier for one in metrics.latency.read(7).exemplars.values()] == ["abc"]


def test_number_and_text_are_different_models(metrics: InferenceMetrics):
    metrics.record_inference(1, 1.0)
    metrics.record_inference("1", 1.0)

    assert set(metrics.get_all_metrics()["models"]) == {1, "1"}


def test_cache_counts_hits_and_misses(metrics: InferenceMetrics):
    for _ in range(3):
        metrics.record_cache_hit()
    metrics.record_cache_miss()

    assert metrics.get_cache_stats() == {"hits": 3, "misses": 1, "hit_rate": 0.75}


def test_gpu_that_was_never_read_is_absent_and_not_idle(metrics: InferenceMetrics):
    metrics.record_inference("m", 1.0)
    metrics.record_gpu("m", utilization=0.5)
    metrics.record_gpu("n", memory_utilization=1.0)

    assert metrics.get_all_metrics()["gpu"] == {
        "m": {"utilization": 0.5},
        "n": {"memory_utilization": 1.0},
    }
    stats = metrics.get_model_stats("m")
    assert stats is not None
    assert stats["gpu_utilization"] == 0.5
    assert "gpu_memory_utilization" not in stats


@pytest.mark.parametrize("shares", [{"utilization": 1.01}, {"memory_utilization": -0.1},
                                    {"utilization": NAN}])  # fmt: skip
def test_gpu_share_that_is_no_share_is_refused(metrics: InferenceMetrics, shares):
    with pytest.raises(ValueError, match="between 0 and 1"):
        metrics.record_gpu("m", **shares)


@pytest.mark.parametrize("call", [
    {"latency_ms": -1.0}, {"latency_ms": NAN}, {"latency_ms": INF},
    {"latency_ms": 1.0, "batch_size": 0}, {"latency_ms": 1.0, "gpu_ms": -1.0},
    {"latency_ms": 1.0, "gpu_ms": NAN},
])  # fmt: skip
def test_call_that_cannot_be_is_refused_and_leaves_no_trace(metrics: InferenceMetrics, call):
    with pytest.raises(ValueError, match=r"must be (a number of )?at least"):
        metrics.record_inference("m", **call)

    assert metrics.get_all_metrics()["inferences"] == 0
    assert metrics.latency.series == {}


@pytest.mark.parametrize("total_ms", [-1.0, NAN, INF])
def test_request_that_cannot_be_is_refused(metrics: InferenceMetrics, total_ms):
    with pytest.raises(ValueError, match="total_ms must be"):
        metrics.record_request("/a", total_ms)


def answer(**known) -> Generation:
    return Generation(**{"model_id": "phi", "duration_s": 1.0} | known)


def test_generation_feeds_every_part(metrics: InferenceMetrics):
    metrics.record_generation(
        answer(
            tenant="acme", duration_s=2.0, queue_s=0.5, first_token_s=0.75, inter_token_s=0.02,
            prompt_tokens=100, cached_tokens=40, completion_tokens=64, cost_usd=0.25,
        )
    )  # fmt: skip

    asked = ("phi", "chat")
    assert metrics.generations.read(*asked, "ok").total == 2.0
    assert metrics.queue.read(*asked).total == 0.5
    assert metrics.first_token.read(*asked).total == 0.75
    assert metrics.inter_token.read(*asked).total == 0.02
    assert metrics.tokens.read(*asked, "input").total == 100
    assert metrics.tokens.read(*asked, "output").total == 64
    assert metrics.latency.read("phi").total == 1.5
    everything = metrics.get_all_metrics()
    assert everything["tokens"] == {"prompt": 100, "cached": 40, "completion": 64}
    assert everything["cost_usd"] == {"acme": 0.25}


def test_unknown_parts_of_a_generation_are_left_out(metrics: InferenceMetrics):
    metrics.record_generation(answer())

    for family in (metrics.queue, metrics.first_token, metrics.inter_token, metrics.tokens):
        assert family.series == {}
    assert metrics.get_all_metrics()["cost_usd"] == {}


def test_only_failures_are_errors_of_the_model(metrics: InferenceMetrics):
    for outcome in ("ok", "cancelled", "engine_failed"):
        metrics.record_generation(answer(outcome=outcome))

    assert metrics.errors.collect() == [(("phi", "engine_failed"), 1.0)]


def test_request_of_several_generations_counts_once(metrics: InferenceMetrics):
    parts = [answer(completion_tokens=3), answer(model_id="qwen", completion_tokens=4)]

    metrics.record_request("/v1/chat/completions", 1500.0, generations=parts)

    everything = metrics.get_all_metrics()
    assert (everything["requests"]["total"], everything["inferences"]) == (1, 2)
    assert everything["tokens"]["completion"] == 7


@pytest.mark.parametrize("field", [
    "duration_s", "queue_s", "first_token_s", "inter_token_s", "prompt_tokens", "cached_tokens",
    "completion_tokens", "cost_usd",
])  # fmt: skip
@pytest.mark.parametrize("value", [-1, NAN, INF])
def test_generation_of_impossible_values_is_refused(field, value):
    with pytest.raises(ValueError, match=f"{field} must be a number of at least 0"):
        answer(**{field: value})


def test_models_beyond_the_cap_are_counted_together():
    metrics = InferenceMetrics(max_series=2)
    for number in range(5):
        metrics.record_inference(f"m{number}", 1.0, batch_size=2, gpu_ms=1.0, error="e")

    everything = metrics.get_all_metrics()
    assert set(everything["models"]) == {"m0", "m1", OTHER}
    assert everything["models"][OTHER]["samples"] == 6
    assert everything["models"][OTHER]["errors"] == 3
    assert everything["models"][OTHER]["gpu_seconds"] == pytest.approx(0.003)
    dropped = next(one for one in metrics.families() if one.name.endswith("_dropped_total"))
    assert list(dropped.collect()) == [
        (("epochly_inference_model_latency_seconds",), 3),
        (("epochly_inference_errors_total",), 3),
    ]
    assert everything["dropped"] == 6


def test_every_metric_has_its_own_name(metrics: InferenceMetrics):
    names = [family.name for family in metrics.families()]

    assert len(set(names)) == len(names)
    assert all(name.startswith("epochly_inference_") for name in names)


def test_threads_lose_nothing():
    metrics = InferenceMetrics()

    def work() -> None:
        for number in range(500):
            metrics.record_inference(f"m{number % 3}", 1.0, batch_size=2)
            metrics.record_request("/a", 1.0)
            metrics.record_cache_hit()

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    everything = metrics.get_all_metrics()
    assert everything["inferences"] == everything["requests"]["total"] == 4_000
    assert everything["cache"]["hits"] == 4_000
    assert sum(stats["samples"] for stats in everything["models"].values()) == 8_000


def test_the_thousand_and_first_model_is_counted_as_other():
    metrics = InferenceMetrics()
    for number in range(1_001):
        metrics.record_inference(f"m{number}", 1.0)

    assert metrics.get_model_stats("m999") is not None
    assert metrics.get_model_stats("m1000") is None
    assert metrics.get_model_stats("other")["inferences"] == 1


def test_a_generation_belongs_to_the_default_tenant_and_has_no_tokens_unless_told():
    metrics = InferenceMetrics()

    metrics.record_generation(Generation(model_id="phi", duration_s=1.0, cost_usd=0.5))

    told = metrics.get_all_metrics()
    assert told["tokens"] == {"prompt": 0, "cached": 0, "completion": 0}
    assert told["cost_usd"] == {"default": 0.5}
