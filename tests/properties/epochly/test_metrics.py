"""Whatever is recorded, and however models are called, the text says exactly that."""

import asyncio
import math
from contextlib import nullcontext

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families as classic

from epochly.inference.metrics import InferenceMetrics, PrometheusExporter
from epochly.inference.metrics.distribution import Distribution
from support.prometheus import read_metrics

# Surrogates are no text, and are shown as something else.
HOSTILE = st.text(st.characters(exclude_categories=["Cs"]), max_size=8) | st.sampled_from(
    ['a"b', "a\\", "a\nb", 'x",y="', "}", "# EOF\n", "\\n", '\\"', "\r", "é", "{le=", "", "+Inf"]
)
LATENCIES = st.floats(0, 1e7)
PER_MODEL = "epochly_inference_inferences_per_model"
LATENCY = "epochly_inference_model_latency_seconds"


@settings(deadline=None, max_examples=60)
@given(calls=st.lists(st.tuples(HOSTILE, LATENCIES, st.none() | HOSTILE), max_size=12))
def test_any_model_name_survives_both_formats(calls):
    metrics = InferenceMetrics()
    for model, latency_ms, trace_id in calls:
        metrics.record_inference(model, latency_ms, trace_id=trace_id)
        metrics.record_request(model, latency_ms, outcome=model)

    old = PrometheusExporter.export(metrics)
    new = PrometheusExporter.export(metrics, exemplars=True)

    strict = read_metrics(old)
    lax = {family.name: family for family in classic(old)}
    opened = {family.name: family for family in openmetrics(new)}
    for model in {model for model, _, _ in calls}:
        seconds = [latency_ms / 1000 for name, latency_ms, _ in calls if name == model]
        assert strict[PER_MODEL].value(model=model) == len(seconds)
        assert strict[LATENCY].value("_sum", model=model) == pytest.approx(math.fsum(seconds))
        for families in (lax, opened):
            counted = [
                sample.value
                for sample in families[LATENCY].samples
                if sample.name.endswith("_count") and sample.labels == {"model": model}
            ]
            assert counted == [len(seconds)]


@settings(deadline=None)
@given(
    values=st.lists(st.floats(0, 100), min_size=1, max_size=60),
    bounds=st.sets(st.floats(0.01, 50), min_size=1, max_size=12).map(sorted),
    shares=st.lists(st.floats(0, 1), min_size=2, max_size=5).map(sorted),
)
def test_distribution_agrees_with_the_list_of_values(values, bounds, shares):
    seen = Distribution(bounds)
    for value in values:
        seen.add(value)

    positions = seen.positions(bounds)
    assert seen.cumulative(positions) == [
        *(sum(value <= edge for value in values) for edge in bounds), len(values),
    ]  # fmt: skip
    assert seen.total == pytest.approx(math.fsum(values))
    quantiles = [seen.quantile(share) for share in shares]
    assert quantiles == sorted(quantiles)
    assert all(0 <= quantile <= bounds[-1] for quantile in quantiles)


@settings(deadline=None)
@given(
    values=st.lists(st.floats(0.02, 900_000), min_size=1, max_size=200),
    share=st.sampled_from([0.5, 0.95, 0.99]),
)
def test_quantiles_of_a_model_are_within_a_bucket_of_the_truth(values, share):
    metrics = InferenceMetrics()
    for latency_ms in values:
        metrics.record_inference("m", latency_ms)

    estimate = metrics.latency.read("m").quantile(share) * 1000

    rank = math.ceil(share * len(values))
    true = sorted(values)[rank - 1]
    assert true / 1.105 <= estimate <= true * 1.105


@settings(deadline=None)
@given(
    models=st.lists(st.integers(0, 30), max_size=80),
    cap=st.integers(1, 10),
)
def test_nothing_is_lost_beyond_the_cap(models, cap):
    metrics = InferenceMetrics(max_series=cap)
    for model in models:
        metrics.record_inference(model, 1.0)

    assert len(metrics.latency.series) <= cap + 1
    assert metrics.get_all_metrics()["inferences"] == len(models)
    distinct = list(dict.fromkeys(models))
    assert metrics.latency.dropped == sum(model in distinct[cap:] for model in models)


def price(read: int, written: int) -> float:
    """Sums of eighths are exact."""
    return read / 8 + written


ENDS = st.sampled_from(
    [None, ValueError, asyncio.CancelledError, GeneratorExit, KeyboardInterrupt, "end", "end twice"]
)


@settings(deadline=None)
@given(
    requests=st.lists(
        st.tuples(st.sampled_from("ab"), st.integers(0, 9), st.lists(st.integers(1, 5)), ENDS),
        max_size=20,
    )
)
def test_no_way_out_of_a_request_loses_a_token_or_a_cent(requests):
    metrics = InferenceMetrics()

    def serve(tenant, prompt, generated, end) -> None:
        with metrics.start_request("/v1", model_id="m", tenant=tenant, price=price) as request:
            request.prompt_tokens = prompt
            for count in generated:
                request.add_tokens(count)
            if isinstance(end, type):
                raise end
            for _ in range((end or "").count("end") + ("twice" in (end or ""))):
                request.end("stop")

    for planned in requests:
        end = planned[3]
        with pytest.raises(end) if isinstance(end, type) else nullcontext():
            serve(*planned)

    everything = metrics.get_all_metrics()
    assert everything["requests"]["total"] == everything["inferences"] == len(requests)
    assert everything["requests"]["in_flight"] == 0
    assert everything["tokens"]["prompt"] == sum(prompt for _, prompt, _, _ in requests)
    assert everything["tokens"]["completion"] == sum(sum(counts) for _, _, counts, _ in requests)
    for tenant in {tenant for tenant, _, _, _ in requests}:
        mine = [one for one in requests if one[0] == tenant]
        owed = sum(prompt / 8 + sum(counts) for _, prompt, counts, _ in mine)
        assert everything["cost_usd"][tenant] == owed
