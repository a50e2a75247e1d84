import subprocess
import sys
from enum import StrEnum

import pytest

from epochly.errors import ConfigurationError
from epochly.inference.metrics import CostEstimator, InferenceMetrics, InferenceOTelExporter
from support.manual_clock import ManualClock


@pytest.fixture
def metrics() -> InferenceMetrics:
    made = InferenceMetrics()
    made.record_request("/a", 500.0)
    made.record_inference("bert", 250.0, batch_size=4)
    made.record_cache_hit()
    return made


def test_numbers_and_series_by_name(metrics: InferenceMetrics):
    found = InferenceOTelExporter(environ={}).export(metrics)

    assert found["epochly.inference.requests"] == 1
    assert found["epochly.inference.cache.hits"] == 1
    assert found["epochly.inference.cache.hit_ratio"] == 1.0
    assert found["epochly.inference.inferences"] == [
        {"attributes": {"epochly.model": "bert"}, "value": 1}
    ]
    assert found["epochly.inference.samples"] == [
        {"attributes": {"epochly.model": "bert"}, "value": 4}
    ]
    (duration,) = found["epochly.inference.request.duration"]
    assert duration["attributes"] == {"epochly.endpoint": "/a", "epochly.outcome": "ok"}
    assert (duration["count"], duration["sum"]) == (1, 0.5)
    assert len(duration["bucket_counts"]) == len(duration["explicit_bounds"]) + 1
    assert duration["bucket_counts"][duration["explicit_bounds"].index(0.5)] == 1
    assert found["epochly.inference.gpu.utilization"] == []


def test_generations_go_by_the_conventions_on_demand_and_then_not_by_ours(
    metrics: InferenceMetrics,
):
    with metrics.start_request("/v1/chat/completions", model_id="phi") as request:
        request.add_tokens(2)

    ours = InferenceOTelExporter(environ={}).export(metrics)
    theirs = InferenceOTelExporter(
        provider_name="octomil",
        environ={"OTEL_SEMCONV_STABILITY_OPT_IN": "gen_ai_latest_experimental"},
    ).export(metrics)

    assert not any(name.startswith("gen_ai.") for name in ours)
    assert "epochly.inference.generation.duration" in ours
    assert "epochly.inference.generation.duration" not in theirs
    assert theirs["gen_ai.server.time_to_first_token"][0]["attributes"] == {
        "gen_ai.request.model": "phi",
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "octomil",
    }
    assert theirs["gen_ai.client.token.usage"][0]["sum"] == 2
    assert theirs["epochly.inference.requests"] == 2


@pytest.mark.parametrize(("value", "name"), [
    ("gen_ai_latest_experimental", "gen_ai.server.request.duration"),
    ("", "epochly.inference.generation.duration"),
])  # fmt: skip
def test_opt_in_is_read_from_the_environment(
    metrics: InferenceMetrics, monkeypatch: pytest.MonkeyPatch, value: str, name: str
):
    monkeypatch.setenv("OTEL_SEMCONV_STABILITY_OPT_IN", value)

    assert name in InferenceOTelExporter().export(metrics)


def test_costs_and_savings():
    clock = ManualClock()
    cost = CostEstimator("H100", custom_rate=3.6, clock=clock)
    for _ in range(2):
        cost.record_inference(0.3, 0.1)
        clock.advance(900.0)

    found = InferenceOTelExporter(environ={}).export_cost(cost)

    assert found["epochly.inference.cost.per_1k_requests"] == [
        {"attributes": {"epochly.variant": "baseline"}, "value": pytest.approx(0.3)},
        {"attributes": {"epochly.variant": "optimized"}, "value": pytest.approx(0.1)},
    ]
    assert found["epochly.inference.cost.savings_per_hour"] == pytest.approx(0.0008)
    assert found["epochly.inference.cost.savings_per_month"] == pytest.approx(0.0008 * 730)


class State(StrEnum):
    CLOSED = "closed"
    HALF_OPEN = "half_open"
    OPEN = "open"


class Breaker:
    def __init__(self, state: str) -> None:
        self.state = state


class Drift:
    def get_diagnostics(self) -> dict:
        return {"compile": {}, "cache": {}}

    def get_ewma_scores(self, optimization_name: str) -> dict[str, float] | None:
        return {"similarity": 0.99} if optimization_name == "compile" else None


def test_safety_is_told_as_far_as_it_is_known():
    exporter = InferenceOTelExporter(environ={})
    breakers = {"a": Breaker(State.CLOSED), "b": Breaker(State.HALF_OPEN), "c": Breaker("open")}

    found = exporter.export_safety(breakers, Drift(), [1, 2, 3])

    states = found["epochly.inference.safety.breaker.state"]
    assert [(one["attributes"]["epochly.breaker"], one["value"]) for one in states] == [
        ("a", 0), ("b", 1), ("c", 2),
    ]  # fmt: skip
    assert found["epochly.inference.safety.drift.ewma"] == [
        {
            "attributes": {"epochly.optimization": "compile", "epochly.score": "similarity"},
            "value": 0.99,
        }
    ]
    assert found["epochly.inference.safety.goldens"] == 3
    assert exporter.export_safety() == {}


def test_our_own_breakers_have_states_that_can_be_shown():
    from epochly.inference import CircuitBreaker

    breaker = CircuitBreaker("phi")
    exporter = InferenceOTelExporter(environ={})

    def state() -> float:
        found = exporter.export_safety({"phi": breaker})
        return found["epochly.inference.safety.breaker.state"][0]["value"]

    assert state() == 0
    breaker.trip("for a test")
    assert state() == 2


WITHOUT_OPENTELEMETRY = """
import sys
sys.modules["opentelemetry"] = None
from epochly.errors import MissingDependencyError
from epochly.inference import InferenceMetrics, InferenceOTelExporter
metrics = InferenceMetrics()
exporter = InferenceOTelExporter()
assert exporter.export(metrics)["epochly.inference.requests"] == 0
try:
    exporter.with_histograms(None, metrics)
except MissingDependencyError as err:
    print(err)
"""


def test_nothing_of_opentelemetry_is_needed_for_plain_values():
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_OPENTELEMETRY], capture_output=True, text=True, check=False
    )

    assert (done.returncode, done.stderr) == (0, "")
    assert "opentelemetry-sdk" in done.stdout


def test_breakers_may_be_a_list_of_ours():
    from epochly.inference import CircuitBreaker

    breakers = [CircuitBreaker("phi"), CircuitBreaker("qwen")]
    breakers[1].trip("answers differ")
    exporter = InferenceOTelExporter(environ={})

    assert exporter.export_safety(breakers=breakers) == exporter.export_safety(
        breakers={"phi": breakers[0], "qwen": breakers[1]}
    )
    assert exporter.export_safety(breakers=iter(breakers)) == exporter.export_safety(breakers)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"breakers": 7}, "breakers must be a mapping or a list of breakers, got 7"),
        ({"breakers": ["phi"]}, "no breaker with a name and a state: 'phi'"),
        ({"breakers": [Breaker("open")]}, "no breaker with a name and a state"),
        ({"breakers": {"phi": None}}, "no breaker with a state: None"),
        ({"breakers": {"phi": Breaker("ajar")}}, "'phi' is in the state 'ajar'; .* closed"),
        ({"drift_monitor": [1]}, r"drift_monitor .* got \[1\]"),
        ({"golden_store": 7}, "golden_store .* got 7"),
    ],
)
def test_what_cannot_tell_how_it_stands_is_refused_by_name(arguments: dict, message: str):
    with pytest.raises(ConfigurationError, match=message):
        InferenceOTelExporter(environ={}).export_safety(**arguments)


def test_two_breakers_of_one_name_are_refused():
    from epochly.inference import CircuitBreaker

    with pytest.raises(ConfigurationError, match="two breakers are called 'phi'"):
        InferenceOTelExporter(environ={}).export_safety([CircuitBreaker("phi")] * 2)
