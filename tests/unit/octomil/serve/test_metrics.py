import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from octomil.serve.metrics import (
    LATENCY_BUCKETS_S,
    ROUTING_BUCKETS_S,
    Counter,
    Gauge,
    Histogram,
    exposition,
)
from support.prometheus import read_metrics


def test_counter_adds_up_for_each_set_of_labels():
    counter = Counter("answers_total", "Answers.", ("model", "reason"))

    counter.add(1, "a", "stop")
    counter.add(2, "a", "stop")
    counter.add(5, "b", "length")

    assert counter.value("a", "stop") == 3
    assert counter.value("nobody", "stop") == 0
    metric = read_metrics(exposition([counter]))["answers_total"]
    assert (metric.kind, metric.doc) == ("counter", "Answers.")
    assert metric.value(model="a", reason="stop") == 3
    assert metric.value(model="b", reason="length") == 5


def test_gauge_is_read_when_it_is_scraped():
    values = {("a",): 1.0}
    gauge = Gauge("busy", "Busy.", ("model",), values.items)
    first = read_metrics(exposition([gauge]))["busy"]

    values["a",] = 0.25

    assert first.value(model="a") == 1
    assert read_metrics(exposition([gauge]))["busy"].value(model="a") == 0.25


def test_observation_on_an_edge_belongs_to_the_bucket_below_it():
    histogram = Histogram("wait_seconds", "Wait.", buckets=(0.1, 1.0))

    for value in (0.1, 0.5, 1.0, 7.0):
        histogram.observe(value)

    metric = read_metrics(exposition([histogram]))["wait_seconds"]
    counts = {edge: metric.value("_bucket", le=edge) for edge in ("0.1", "1", "+Inf")}
    assert counts == {"0.1": 1, "1": 3, "+Inf": 4}
    assert (metric.value("_count"), metric.value("_sum")) == (4, pytest.approx(8.6))
    assert histogram.count() == 4


def test_metric_nobody_has_touched_is_announced_all_the_same():
    text = exposition([Counter("a_total", "A."), Histogram("b_seconds", "B.")])

    assert text == (
        "# HELP a_total A.\n# TYPE a_total counter\n"
        "# HELP b_seconds B.\n# TYPE b_seconds histogram\n"
    )
    assert Histogram("b_seconds", "B.").count() == 0


def test_doc_with_line_breaks_stays_on_its_line():
    text = exposition([Counter("a_total", "One\\two\nthree")])

    assert text.startswith("# HELP a_total One\\\\two\\nthree\n")


@settings(deadline=None)
@given(
    observed=st.lists(
        st.tuples(
            st.text(max_size=5) | st.sampled_from(['a"b', "a\\", "a\nb", 'x",y="', "é", "}"]),
            st.floats(0, 1e6),
        ),
        max_size=20,
    )
)
def test_any_label_and_value_survive_the_text(observed):
    counter = Counter("c_total", "C.", ("model", "reason"))
    histogram = Histogram("h_seconds", "H.", ("model",))
    for label, value in observed:
        counter.add(value, label, "r")
        histogram.observe(value, label)

    metrics = read_metrics(exposition([counter, histogram]))

    for label in {label for label, _ in observed}:
        values = [value for name, value in observed if name == label]
        assert metrics["c_total"].value(model=label, reason="r") == counter.value(label, "r")
        assert metrics["h_seconds"].value("_count", model=label) == len(values)
        assert metrics["h_seconds"].value("_sum", model=label) == pytest.approx(math.fsum(values))


@pytest.mark.parametrize("buckets", [LATENCY_BUCKETS_S, ROUTING_BUCKETS_S])
def test_shipped_buckets_ascend_and_print_apart(buckets):
    assert list(buckets) == sorted(set(buckets))
    assert len({f"{edge:g}" for edge in buckets}) == len(buckets)


@pytest.mark.parametrize(
    "broken",
    [
        "a 1\n",
        "# HELP a A\na 1\n",
        "# HELP a A\n# TYPE a counter\na 1\na 2\n",
        "# HELP a A\n# TYPE a counter\na -1\n",
        "# HELP a A\n# TYPE a counter\nb 1\n",
        '# HELP a A\n# TYPE a counter\na{x="\n"} 1\n',
        '# HELP a A\n# TYPE a counter\na{x="1" 1\n',
        "# HELP a A\n# TYPE a counter\na 1",
        '# HELP a A\n# TYPE a histogram\na_bucket{le="+Inf"} 2\na_sum 1\na_count 3\n',
        '# HELP a A\n# TYPE a histogram\na_bucket{le="1"} 2\na_sum 1\na_count 2\n',
        '# HELP a A\n# TYPE a histogram\na_bucket{le="1"} 2\na_bucket{le="+Inf"} 1\na_count 1\n',
    ],
)
def test_the_reader_of_these_tests_is_strict(broken):
    with pytest.raises((AssertionError, KeyError, ValueError)):
        read_metrics(broken)
