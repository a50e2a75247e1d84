import pytest

from epochly.inference.metrics import InferenceMetrics, documented
from epochly.inference.metrics.semconv import instrument, opted_in


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        ("", False),
        ("http", False),
        ("gen_ai_latest_experimental", True),
        ("http/dup, gen_ai_latest_experimental ", True),
        ("gen_ai_latest_experimental_2", False),
        ("GEN_AI_LATEST_EXPERIMENTAL", False),
    ],
)
def test_opt_in_is_one_of_a_list(value: str, wanted: bool):
    assert opted_in(value) is wanted


@pytest.mark.parametrize("gen_ai", [True, False])
def test_every_metric_has_one_opentelemetry_name(gen_ai: bool):
    metrics = [*InferenceMetrics().families(), *documented.costs(None)]

    names = [instrument(one, gen_ai=gen_ai, provider_name="p").name for one in metrics]

    assert len(set(names)) == len(metrics)
    assert all(name == name.lower() for name in names)
    prefixes = {name.split(".")[0] for name in names}
    assert prefixes == ({"epochly", "gen_ai"} if gen_ai else {"epochly"})


def test_conventions_are_those_of_the_installed_package():
    conventions = pytest.importorskip("opentelemetry.semconv._incubating.metrics.gen_ai_metrics")
    attributes = pytest.importorskip(
        "opentelemetry.semconv._incubating.attributes.gen_ai_attributes"
    )
    metrics = InferenceMetrics()

    found = {
        name: instrument(family, gen_ai=True, provider_name="p")
        for name, family in (
            ("SERVER_REQUEST_DURATION", metrics.generations),
            ("SERVER_TIME_TO_FIRST_TOKEN", metrics.first_token),
            ("SERVER_TIME_PER_OUTPUT_TOKEN", metrics.inter_token),
            ("CLIENT_TOKEN_USAGE", metrics.tokens),
        )
    }

    for name, one in found.items():
        assert one.name == getattr(conventions, f"GEN_AI_{name}")
    metrics.tokens.observe(5, "phi", "chat", "input")
    ((labels, _),) = found["CLIENT_TOKEN_USAGE"].points()
    assert labels == {
        attributes.GEN_AI_REQUEST_MODEL: "phi",
        attributes.GEN_AI_OPERATION_NAME: "chat",
        attributes.GEN_AI_TOKEN_TYPE: "input",
        attributes.GEN_AI_PROVIDER_NAME: "p",
    }


def test_error_type_is_absent_where_there_was_no_error():
    metrics = InferenceMetrics()
    metrics.generations.observe(1.0, "phi", "chat", "ok")
    metrics.generations.observe(1.0, "phi", "chat", "queue_full")

    points = list(instrument(metrics.generations, gen_ai=True, provider_name="p").points())

    assert [labels.get("error.type") for labels, _ in points] == [None, "queue_full"]
