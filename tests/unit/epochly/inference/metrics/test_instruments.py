import sys
import threading
from collections.abc import Iterator

import pytest

from epochly.inference.metrics.distribution import Exemplar
from epochly.inference.metrics.instruments import OTHER, Counter, Gauge, Histogram, Reading


def test_counter_adds_up_for_each_set_of_labels():
    counter = Counter("answers_total", "Answers.", ("model", "reason"))

    counter.add(1, "a", "stop")
    counter.add(2, "a", "stop")
    counter.add(5, "b", "length")

    assert counter.value("a", "stop") == 3
    assert counter.value("nobody", "stop") == 0
    assert counter.collect() == [(("a", "stop"), 3.0), (("b", "length"), 5.0)]


def test_gauge_is_set_and_moved():
    gauge = Gauge("busy", "Busy.", ("model",))

    gauge.set(0.5, "a")
    gauge.set(0.25, "a")
    gauge.add(1, "b")
    gauge.add(-3, "b")

    assert gauge.collect() == [(("a",), 0.25), (("b",), -2.0)]


def test_histogram_counts_at_more_edges_than_it_shows():
    histogram = Histogram("wait_seconds", "Wait.", buckets=(1.0,), resolution=(0.1, 0.5))

    histogram.observe(0.3)
    histogram.observe(0.05, exemplar=Exemplar("t", 0.05))

    assert histogram.edges == (1.0,)
    assert histogram.read().counts == [1, 1, 0, 0]
    assert histogram.read().exemplars == {0: Exemplar("t", 0.05)}
    assert (histogram.count(), histogram.counts()) == (2, [((), 2)])


def test_unknown_series_reads_as_nothing():
    histogram = Histogram("wait_seconds", "Wait.", ("model",))

    assert (histogram.count("a"), histogram.read("a").count) == (0, 0)
    assert histogram.series == {}


def test_metric_without_labels_is_there_from_the_start():
    assert Counter("a_total", "A.").collect() == [((), 0.0)]
    assert Counter("a_total", "A.", ("model",)).collect() == []


def test_collected_histogram_is_a_copy():
    histogram = Histogram("wait_seconds", "Wait.")
    ((_, before),) = histogram.collect()

    histogram.observe(1)

    assert (before.count, histogram.count()) == (0, 1)


def test_reading_is_taken_each_time():
    values = {("a",): 1.0}
    reading = Reading("busy", "Busy.", ("model",), lambda: list(values.items()))
    first = reading.collect()

    values["a",] = 2.0

    assert (first, reading.collect()) == ([(("a",), 1.0)], [(("a",), 2.0)])
    assert reading.kind == "gauge"


@pytest.mark.parametrize("kind", [Counter, Gauge, Histogram])
def test_full_family_counts_the_rest_together_and_says_how_often(kind):
    family = kind("m", "M.", ("model", "tenant"), max_series=2)
    record = family.observe if kind is Histogram else family.add

    for model in ("a", "b", "c", "d", "c", "a"):
        record(1, model, "t")

    assert set(family.series) == {("a", "t"), ("b", "t"), (OTHER, OTHER)}
    assert family.dropped == 3


def test_a_million_labels_take_no_more_room_than_the_cap():
    counter = Counter("m_total", "M.", ("model",), max_series=10)

    for number in range(20_000):
        counter.add(1, number)

    assert len(counter.series) == 11
    assert counter.value(OTHER) == counter.dropped == 19_990


@pytest.fixture
def eager_switches() -> Iterator[None]:
    """Threads take turns as often as the interpreter can."""
    usual = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(usual)


@pytest.mark.usefixtures("eager_switches")
def test_no_count_is_lost_between_threads():
    counter, histogram = Counter("c", "C.", ("n",)), Histogram("h", "H.", ("n",))

    def work() -> None:
        for number in range(2_000):
            counter.add(1, number % 7)
            histogram.observe(0.01, number % 7)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sum(value for _, value in counter.collect()) == 16_000
    assert sum(seen.count for _, seen in histogram.collect()) == 16_000
