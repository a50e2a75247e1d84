import io

import pytest

from epochly.inference.metrics.exposition import exposition
from octomil.engines.base import Pace, Timing, Usage
from octomil.serve.observation import Observation
from octomil.serve.recorder import Recorder
from octomil.serve.request_log import RequestLog
from octomil.serve.stats import RoutingStats, Savings
from support.prometheus import read_metrics


def seen(first_tokens: int = 1, **known):
    timing = Timing(first_at=10.0, first_tokens=first_tokens, last_at=12.0)
    return Observation(model="small", tier=1, outcome="stop", started=9.0, timing=timing, **known)


@pytest.mark.parametrize(("first_tokens", "per_token_s"), [(1, 2 / 19), (16, 0.5)])
def test_tokens_that_came_with_the_first_byte_took_no_time_after_it(first_tokens, per_token_s):
    recorder = Recorder(RoutingStats(["small"]))

    recorder.record(seen(usage=Usage(3, 20), first_tokens=first_tokens))

    itl = read_metrics(exposition(recorder.metrics))["octomil:inter_token_latency_seconds"]
    assert itl.value("_sum", model_name="small") == pytest.approx(per_token_s)


def test_an_answer_that_came_at_once_tells_no_speed():
    recorder = Recorder(RoutingStats(["small"]))

    recorder.record(seen(usage=Usage(3, 20), first_tokens=20))

    assert recorder.stats.snapshot()["estimated_savings"] is None


@pytest.mark.parametrize("outcome", ["stop", "cancelled", "error:engine_unavailable"])
def test_vectors_have_a_line_of_the_log(outcome):
    out = io.StringIO()
    embedded = Observation(
        tenant="ann", request_id="r-1", model="nomic", usage=Usage(7, 0), outcome=outcome
    )

    with RequestLog(out) as log:
        Recorder(RoutingStats(["small"]), log).record_embedding(embedded)

    line = out.getvalue()
    assert line.startswith("[request] ann nomic 7+0 tok total 0.")
    assert line.endswith(f" {outcome} id r-1\n")


def test_tokens_of_several_tasks_count_once_and_with_the_models_that_wrote_them():
    recorder = Recorder(RoutingStats(["small", "large"]))
    for model in ("small", "large"):
        recorder.stats.observe_speed(model, 10, 10.0)
    small = Observation(model="small", tier=1, outcome="stop", usage=Usage(3, 20))
    large = Observation(model="large", tier=3, outcome="stop", usage=Usage(5, 40), cost_usd=0.5)

    whole = {"model": "large", "tier": 3, "outcome": "stop", "routed": True}
    recorder.record(Observation(**whole, subtasks=[small, large], usage=Usage(8, 60)))

    shown = read_metrics(exposition(recorder.metrics))
    for name, counts in (("prompt_tokens", (3, 5)), ("generation_tokens", (20, 40))):
        told = shown[f"octomil:{name}_total"]
        assert (told.value(model_name="small"), told.value(model_name="large")) == counts
    assert shown["octomil:cost_usd_total"].value(model_name="large") == 0.5
    # At a second a token by either model, one request of 60 tokens saved nothing of its minute.
    recorder.stats.count_dropped("small", 60)
    assert recorder.stats.savings() == Savings(-1.0, -60.0)


@pytest.mark.parametrize("outcome", ["error:generation_failed", "cancelled"])
def test_failed_request_was_routed_and_saved_nothing(outcome):
    recorder = Recorder(RoutingStats(["small"]))
    recorder.stats.observe_speed("small", 10, 10.0)

    recorder.record(seen(routed=True, usage=Usage(3, 20)))
    failed = Observation(model="small", tier=1, outcome=outcome, routed=True, usage=Usage(3, 20))
    recorder.record(failed)

    decisions = read_metrics(exposition(recorder.metrics))["octomil:routing_decisions_total"]
    told = recorder.stats.snapshot()
    assert decisions.value(model_name="small", tier="1") == told["total_requests"] == 2
    recorder.stats.count_dropped("small", 20)
    speed = recorder.stats.savings()
    assert speed is not None
    assert speed.compute_ratio == pytest.approx(-1.0)


def test_answer_in_one_piece_tells_a_speed():
    recorder = Recorder(RoutingStats(["small"]))
    whole = Observation(model="small", tier=1, outcome="stop", usage=Usage(3, 20), routed=True)
    whole.pace = Pace(20, 2.0)

    recorder.record(whole)

    assert recorder.stats.savings() == Savings(0.0, 0.0)
