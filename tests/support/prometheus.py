"""A strict reader of Prometheus' text format, version 0.0.4.

It follows https://prometheus.io/docs/instrumenting/exposition_formats/ and refuses what a scraper
might let pass: samples before their HELP and TYPE, a metric in two places, a series told twice.
"""

import math
import re
from dataclasses import dataclass, field

_NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
_SAMPLE = re.compile(rf"({_NAME})(?:\{{(.*)\}})? (\S+)")
_LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"(?:,|$)')
_ESCAPES = {r"\\": "\\", r"\"": '"', r"\n": "\n"}
_SUFFIXES = {"counter": ("",), "gauge": ("",), "histogram": ("_bucket", "_sum", "_count")}

Labels = frozenset[tuple[str, str]]


@dataclass
class Metric:
    """One metric: what it is, and its samples by suffix and labels."""

    name: str
    doc: str
    kind: str = ""
    samples: dict[tuple[str, Labels], float] = field(default_factory=dict)

    def value(self, suffix: str = "", **labels: str) -> float:
        """One sample; 0 where there is none yet."""
        return self.samples.get((suffix, frozenset(labels.items())), 0.0)


def read_metrics(text: str) -> dict[str, Metric]:
    """Read a whole exposition, or fail on the first line that breaks a rule."""
    metrics: dict[str, Metric] = {}
    assert text.endswith("\n"), "the last line must end, too"
    current = None
    for line in text[:-1].split("\n"):
        if line.startswith("# HELP "):
            name, _, doc = line.removeprefix("# HELP ").partition(" ")
            assert re.fullmatch(_NAME, name), line
            assert name not in metrics, f"{name} comes twice"
            current = metrics[name] = Metric(name, doc)
        elif line.startswith("# TYPE "):
            name, kind = line.removeprefix("# TYPE ").split(" ")
            assert current is not None, line
            assert (current.name, current.kind, current.samples) == (name, "", {}), line
            assert kind in _SUFFIXES, line
            current.kind = kind
        else:
            assert current is not None, line
            assert current.kind, line
            _read_sample(line, current)
    for metric in metrics.values():
        _check_counts(metric)
        if metric.kind == "histogram":
            _check_buckets(metric)
    return metrics


def _read_sample(line: str, metric: Metric) -> None:
    match = _SAMPLE.fullmatch(line)
    assert match, f"no sample: {line}"
    name, labels, value = match.groups()
    suffix = name.removeprefix(metric.name)
    assert name.startswith(metric.name), line
    assert suffix in _SUFFIXES[metric.kind], line
    key = suffix, _read_labels(labels or "")
    assert key not in metric.samples, f"told twice: {line}"
    metric.samples[key] = float(value)


def _read_labels(text: str) -> Labels:
    found, at = {}, 0
    while at < len(text):
        match = _LABEL.match(text, at)
        assert match, f"no labels: {text}"
        assert match[1] not in found, f"a label twice: {text}"
        found[match[1]] = re.sub(r"\\.", lambda escape: _ESCAPES[escape[0]], match[2])
        at = match.end()
    return frozenset(found.items())


def _check_counts(metric: Metric) -> None:
    if metric.kind == "gauge":
        return
    for (suffix, labels), value in metric.samples.items():
        assert value >= 0, (metric.name, suffix, labels)
        assert not math.isnan(value), (metric.name, suffix, labels)


def _check_buckets(metric: Metric) -> None:
    """Buckets ascend, hold ever more, and end with all of them."""
    series: dict[Labels, list[tuple[float, float]]] = {}
    for (suffix, labels), value in metric.samples.items():
        if suffix == "_bucket":
            (edge,) = [float(value) for name, value in labels if name == "le"]
            rest = frozenset(pair for pair in labels if pair[0] != "le")
            series.setdefault(rest, []).append((edge, value))
    for labels, buckets in series.items():
        edges, counts = zip(*buckets, strict=True)
        assert list(edges) == sorted(set(edges)), metric.name
        assert list(counts) == sorted(counts), metric.name
        assert edges[-1] == math.inf, metric.name
        assert counts[-1] == metric.samples["_count", labels], metric.name
        assert ("_sum", labels) in metric.samples, metric.name
