import pytest

from epochly.inference.metrics.exposition import exposition
from octomil.engines.base import Usage
from octomil.serve.observation import Observation
from octomil.serve.recorder import Recorder
from octomil.serve.stats import RoutingStats
from support.prometheus import read_metrics


def seen(**known):
    return Observation(
        model="small", tier=1, outcome="stop", started=9.0, first_byte=10.0, last_byte=12.0, **known
    )


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
