"""Counters, gauges and histograms, and their Prometheus text.

A writer of our own, because the node records on its hot path and is scraped every few seconds.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence

LATENCY_BUCKETS_S = (
    0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75,
    1.0, 2.5, 5.0, 7.5, 10.0, 20.0, 40.0, 80.0,
)  # fmt: skip
ROUTING_BUCKETS_S = (1e-5, 2.5e-5, 5e-5, 1e-4, 2.5e-4, 5e-4, 1e-3, 5e-3)

Labels = tuple[str, ...]


class Counter:
    """A count that only grows, per set of label values."""

    kind = "counter"

    def __init__(self, name: str, doc: str, labels: Sequence[str] = ()) -> None:
        self.name, self.doc, self.labels = name, doc, tuple(labels)
        self._values: dict[Labels, float] = {}

    def add(self, amount: float, *labels: str) -> None:
        """Add `amount`, which is not negative."""
        self._values[labels] = self._values.get(labels, 0) + amount

    def value(self, *labels: str) -> float:
        """Return the count so far."""
        return self._values.get(labels, 0)

    def samples(self) -> Iterator[str]:
        """Yield one line per set of label values."""
        for labels, value in self._values.items():
            yield f"{self.name}{_label_text(self.labels, labels)} {value:.17g}"


class Gauge:
    """A value that is read when it is scraped."""

    kind = "gauge"

    def __init__(
        self,
        name: str,
        doc: str,
        labels: Sequence[str],
        read: Callable[[], Iterable[tuple[Labels, float]]],
    ) -> None:
        self.name, self.doc, self.labels = name, doc, tuple(labels)
        self._read = read

    def samples(self) -> Iterator[str]:
        """Yield one line per set of label values."""
        for labels, value in self._read():
            yield f"{self.name}{_label_text(self.labels, labels)} {value:.17g}"


class Histogram:
    """Observations in buckets, per set of label values."""

    kind = "histogram"

    def __init__(
        self,
        name: str,
        doc: str,
        labels: Sequence[str] = (),
        buckets: Sequence[float] = LATENCY_BUCKETS_S,
    ) -> None:
        self.name, self.doc, self.labels = name, doc, tuple(labels)
        self._bounds = tuple(buckets)
        self._series: dict[Labels, tuple[list[int], list[float]]] = {}

    def observe(self, value: float, *labels: str) -> None:
        """Count one observation."""
        series = self._series.get(labels)
        if series is None:
            series = self._series[labels] = ([0] * (len(self._bounds) + 1), [0.0])
        series[0][bisect_left(self._bounds, value)] += 1
        series[1][0] += value

    def count(self, *labels: str) -> int:
        """Return the number of observations so far."""
        series = self._series.get(labels)
        return sum(series[0]) if series else 0

    def samples(self) -> Iterator[str]:
        """Yield the cumulative buckets, the sum and the count of each series."""
        names = (*self.labels, "le")
        for labels, (counts, total) in self._series.items():
            running = 0
            for bound, count in zip((*self._bounds, float("inf")), counts, strict=True):
                running += count
                edge = "+Inf" if bound == float("inf") else f"{bound:g}"
                yield f"{self.name}_bucket{_label_text(names, (*labels, edge))} {running}"
            plain = _label_text(self.labels, labels)
            yield f"{self.name}_sum{plain} {total[0]:.17g}"
            yield f"{self.name}_count{plain} {running}"


Metric = Counter | Gauge | Histogram


def exposition(metrics: Iterable[Metric]) -> str:
    """Return the text format that Prometheus scrapes."""
    lines: list[str] = []
    for metric in metrics:
        doc = metric.doc.replace("\\", "\\\\").replace("\n", "\\n")
        lines += (f"# HELP {metric.name} {doc}", f"# TYPE {metric.name} {metric.kind}")
        lines += metric.samples()
    return "\n".join(lines) + "\n"


def _label_text(names: Sequence[str], values: Sequence[str]) -> str:
    if not names:
        return ""
    pairs = ",".join(
        f'{name}="{_escape(value)}"' for name, value in zip(names, values, strict=True)
    )
    return f"{{{pairs}}}"


def _escape(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
