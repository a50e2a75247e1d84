import numpy as np
import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.utils import floatToGoString

from epochly.inference.metrics.distribution import Exemplar
from epochly.inference.metrics.exposition import (
    CLASSIC,
    OPENMETRICS,
    exposition,
    number,
    wants_openmetrics,
)
from epochly.inference.metrics.instruments import Counter, Gauge, Histogram
from support.prometheus import read_metrics


def test_classic_text_is_as_it_always_was():
    counter = Counter("answers_total", "Answers.", ("model", "reason"))
    counter.add(3, "a", "stop")
    histogram = Histogram("wait_seconds", "Wait.", ("model",), buckets=(0.5, 1.0))
    histogram.observe(0.75, "a")

    assert exposition([counter, histogram]) == (
        "# HELP answers_total Answers.\n"
        "# TYPE answers_total counter\n"
        'answers_total{model="a",reason="stop"} 3.0\n'
        "# HELP wait_seconds Wait.\n"
        "# TYPE wait_seconds histogram\n"
        'wait_seconds_bucket{model="a",le="0.5"} 0\n'
        'wait_seconds_bucket{model="a",le="1.0"} 1\n'
        'wait_seconds_bucket{model="a",le="+Inf"} 1\n'
        'wait_seconds_sum{model="a"} 0.75\n'
        'wait_seconds_count{model="a"} 1\n'
    )


def test_openmetrics_names_counters_without_total_and_ends():
    counter = Counter("answers_total", "Answers.")
    odd = Counter("answers_per_model", 'Of "each".', ("model",))
    odd.add(2, "a")

    text = exposition([counter, odd], openmetrics=True)

    assert text == (
        "# HELP answers Answers.\n# TYPE answers counter\nanswers_total 0.0\n"
        '# HELP answers_per_model Of \\"each\\".\n# TYPE answers_per_model counter\n'
        'answers_per_model_total{model="a"} 2.0\n'
        "# EOF\n"
    )
    assert [family.documentation for family in openmetrics(text)] == ["Answers.", 'Of "each".']


def test_metric_nobody_has_touched_is_announced_and_zero_where_it_has_no_labels():
    text = exposition([Counter("a_total", "A."), Gauge("b", "B.", ("model",)),
                       Histogram("c_seconds", "C.", buckets=(1.0,))])  # fmt: skip

    metrics = read_metrics(text)
    assert metrics["a_total"].samples == {("", frozenset()): 0.0}
    assert (metrics["b"].kind, metrics["b"].samples) == ("gauge", {})
    assert metrics["c_seconds"].value("_bucket", le="+Inf") == 0
    assert ("_count", frozenset()) in metrics["c_seconds"].samples


def test_exemplars_stand_behind_their_bucket_in_openmetrics_alone():
    histogram = Histogram("wait_seconds", "Wait.", buckets=(1.0, 2.0), resolution=(0.5,))
    histogram.observe(0.25, exemplar=Exemplar("first", 0.25, 1.5))
    histogram.observe(0.75, exemplar=Exemplar("second", 0.75, 2.5))
    histogram.observe(9.0, exemplar=Exemplar("00-ab", 9.0))

    (family,) = openmetrics(exposition([histogram], openmetrics=True))

    shown = {sample.labels["le"]: sample.exemplar for sample in family.samples[:3]}
    assert shown["1.0"].labels == {"trace_id": "second"}
    assert (shown["1.0"].value, float(shown["1.0"].timestamp)) == (0.75, 2.5)
    assert shown["2.0"] is None
    assert (shown["+Inf"].labels, shown["+Inf"].timestamp) == ({"trace_id": "00-ab"}, None)
    assert "trace_id" not in exposition([histogram])


@pytest.mark.parametrize(("label", "longest"), [("trace_id", 120), ("request_id", 118)])
def test_exemplar_is_labelled_by_what_it_identifies(label, longest):
    histogram = Histogram("wait_seconds", "Wait.", buckets=(1.0,))
    histogram.observe(0.5, exemplar=Exemplar("i" * longest, 0.5, label=label))

    (family,) = openmetrics(exposition([histogram], openmetrics=True))

    assert family.samples[0].exemplar.labels == {label: "i" * longest}
    histogram.observe(0.5, exemplar=Exemplar("i" * (longest + 1), 0.5, label=label))
    assert label not in exposition([histogram], openmetrics=True)


@pytest.mark.parametrize("identifier", ["", 'a"b', "a}\n"])
def test_exemplar_with_what_is_no_identifier_is_left_out(identifier):
    histogram = Histogram("wait_seconds", "Wait.", buckets=(1.0,))
    histogram.observe(0.5, exemplar=Exemplar(identifier, 0.5))

    assert "trace_id" not in exposition([histogram], openmetrics=True)


def test_models_of_one_name_are_shown_as_one():
    counter = Counter("a_total", "A.", ("model", "tenant"))
    gauge = Gauge("b", "B.", ("model",))
    histogram = Histogram("c_seconds", "C.", ("model",), buckets=(1.0,))
    for model in (1, "1", 2, 3):
        counter.add(1, model, "t")
        gauge.set(0.5, model)
        histogram.observe(0.5, model)

    metrics = read_metrics(exposition([counter, gauge, histogram], names={2: "bert", 3: "bert"}))

    for name in ("1", "bert"):
        assert metrics["a_total"].value(model=name, tenant="t") == 2
        assert metrics["b"].value(model=name) == 0.5
        assert metrics["c_seconds"].value("_count", model=name) == 2
    assert len(metrics["a_total"].samples) == 2
    assert histogram.count(2) == 1


def test_doc_with_line_breaks_stays_on_its_line():
    counter = Counter("a_total", 'One\\two\n"three"')

    assert exposition([counter]).startswith('# HELP a_total One\\\\two\\n"three"\n')


def test_what_cannot_be_encoded_is_replaced():
    counter = Counter("a_total", "A.", ("model",))
    counter.add(1, "a\ud800b")

    assert read_metrics(exposition([counter]))["a_total"].value(model="a?b") == 1


@pytest.mark.parametrize(
    "value",
    [0.0, 1.0, 0.001, 1e-05, 123456.0, 999999.5, 1e6, 1048576.0, 67108864.0, 1234567.25, 1e16,
     1e22, 1.5e300, float("inf"), float("-inf"), float("nan"), -2.5],
)  # fmt: skip
def test_numbers_are_written_as_go_writes_them(value: float):
    assert number(value) == floatToGoString(value)


def test_negative_and_whole_numbers_are_written_so_that_they_can_be_read():
    assert float(number(-12345678.5)) == -12345678.5
    assert (number(3), number(12_345_678)) == ("3.0", "1.2345678e+07")


def test_numbers_of_other_types_are_written_as_numbers():
    assert (number(np.float32(0.5)), number(np.int64(3)), number(True)) == ("0.5", "3.0", "1.0")


@pytest.mark.parametrize(
    ("accept", "wanted"),
    [
        ("", False),
        ("*/*", False),
        ("text/plain", False),
        ("application/openmetrics-text", True),
        ("application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5", True),
        ("application/openmetrics-text;q=0.3, text/plain;q=0.5", False),
        ("application/openmetrics-text;q=nonsense", False),
        (
            "application/openmetrics-text;version=1.0.0;q=0.6,text/plain;q=0.4,*/*;q=0.1",
            True,
        ),
    ],
)
def test_scraper_says_which_format_it_prefers(accept: str, wanted: bool):
    assert wants_openmetrics(accept) is wanted


def test_content_types_name_format_and_version():
    assert CLASSIC.startswith("text/plain; version=0.0.4")
    assert OPENMETRICS.startswith("application/openmetrics-text; version=1.0.0")
