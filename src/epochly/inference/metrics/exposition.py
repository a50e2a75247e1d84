"""The text a Prometheus server scrapes.

Two formats: the classic one, version 0.0.4
(https://prometheus.io/docs/instrumenting/exposition_formats/), and OpenMetrics 1.0
(https://prometheus.io/docs/specs/om/open_metrics_spec/), which alone has exemplars.
A writer of our own, because prometheus_client's takes seven times as long, and more.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from math import inf, isinf, isnan

from epochly.inference.metrics.distribution import Distribution, Exemplar
from epochly.inference.metrics.instruments import LabelValue, Metric, Value

CLASSIC = "text/plain; version=0.0.4; charset=utf-8"
OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"
"""Content types of the two formats."""

_MAX_EXEMPLAR_CHARS = 128
"""Characters that the labels of an exemplar may have, names and values together."""

_IDENTIFIER = re.compile(r"[A-Za-z0-9_.:/+=-]+")
"""Other characters are in no trace id; prometheus_client's parser stumbles over quotes there."""


def exposition(
    metrics: Iterable[Metric],
    *,
    openmetrics: bool = False,
    names: Mapping[LabelValue, str] | None = None,
) -> str:
    """Return the text of all metrics, each announced once, even where it has no series yet.

    Args:
        metrics: distinct by name.
        openmetrics: write OpenMetrics, with exemplars, instead of the classic format.
        names: what to show instead of a value of the label `model`.
    """
    lines: list[str] = []
    for metric in metrics:
        family = metric.name
        if openmetrics and metric.kind == "counter":
            family = family.removesuffix("_total")
        doc = _escape_doc(metric.doc, openmetrics=openmetrics)
        lines += (f"# HELP {family} {doc}", f"# TYPE {family} {metric.kind}")
        series = _by_text(metric, names or {})
        if metric.kind == "histogram":
            lines += _histogram_lines(metric, series, exemplars=openmetrics)
        else:
            sample = f"{family}_total" if openmetrics and metric.kind == "counter" else family
            lines += [
                f"{sample}{{{labels}}} {number(value)}" if labels else f"{sample} {number(value)}"
                for labels, value in series.items()
                if not isinstance(value, Distribution)
            ]
    if openmetrics:
        lines.append("# EOF")
    return "\n".join(lines) + "\n"


def wants_openmetrics(accept: str) -> bool:
    """Tell from an `Accept` header whether the scraper prefers OpenMetrics to the classic text."""
    weights = {"application/openmetrics-text": 0.0, "text/plain": 0.0}
    for part in accept.split(","):
        kind, *parameters = (word.strip() for word in part.split(";"))
        weight = next((word[2:] for word in parameters if word.startswith("q=")), "1")
        if kind in weights:
            try:
                weights[kind] = max(weights[kind], float(weight))
            except ValueError:
                continue
    return weights["application/openmetrics-text"] > weights["text/plain"]


def _by_text(metric: Metric, names: Mapping[LabelValue, str]) -> dict[str, Value]:
    """Series by the text of their labels; two that read alike are shown as one."""
    position = metric.labels.index("model") if names and "model" in metric.labels else -1
    template = ",".join(f'{name}="%s"' for name in metric.labels)
    shown: dict[str, Value] = {}
    for labels, value in metric.collect():
        if position >= 0 and labels[position] in names:
            named = names[labels[position]]
            labels = (  # noqa: PLW2901 - the same labels, one of them renamed
                *labels[:position],
                named,
                *labels[position + 1 :],
            )
        text = template % tuple(map(escape, labels))
        shown[text] = _together(shown[text], value, metric) if text in shown else value
    return shown


def _together(first: Value, second: Value, metric: Metric) -> Value:
    if isinstance(first, Distribution):
        if isinstance(second, Distribution):
            first.merge(second)
        return first
    if metric.kind == "counter" and not isinstance(second, Distribution):
        return first + second
    return second


def _histogram_lines(
    metric: Metric, series: Mapping[str, Value], *, exemplars: bool
) -> Iterator[str]:
    ends = [f'le="{number(edge)}"}} ' for edge in (*metric.edges, inf)]
    bucket, total, count = f"{metric.name}_bucket{{", f"{metric.name}_sum", f"{metric.name}_count"
    positions: list[int] | None = None
    for labels, seen in series.items():
        if not isinstance(seen, Distribution):
            continue
        positions = positions or seen.positions(metric.edges)
        start = f"{bucket}{labels}," if labels else bucket
        running = seen.cumulative(positions)
        if exemplars and seen.exemplars:
            tails = _exemplar_texts(metric.edges, seen.exemplars.values())
            yield from (
                f"{start}{end}{n}{tails.get(index, '')}"
                for index, (end, n) in enumerate(zip(ends, running, strict=True))
            )
        else:
            yield from [f"{start}{end}{n}" for end, n in zip(ends, running, strict=True)]
        suffix = f"{{{labels}}}" if labels else ""
        yield f"{total}{suffix} {number(seen.total)}"
        yield f"{count}{suffix} {running[-1]}"


def _exemplar_texts(edges: Sequence[float], exemplars: Iterable[Exemplar]) -> dict[int, str]:
    """The newest exemplar of each shown bucket, as it stands behind the bucket's count."""
    texts = {}
    for exemplar in sorted(exemplars, key=lambda one: one.unix_s or 0):
        label, identifier = exemplar.label, exemplar.identifier
        if len(label) + len(identifier) > _MAX_EXEMPLAR_CHARS:
            continue
        if not _IDENTIFIER.fullmatch(identifier):
            continue
        index = sum(edge < exemplar.value for edge in edges)
        when = "" if exemplar.unix_s is None else f" {exemplar.unix_s:.3f}"
        texts[index] = f' # {{{label}="{identifier}"}} {number(exemplar.value)}{when}'
    return texts


def number(value: float) -> str:
    """Write a number as Go, and so Prometheus, writes it."""
    value = float(value)  # numpy's and Python's other numbers have words of their own
    if -1e6 < value < 1e6:
        return repr(value)
    if isnan(value):
        return "NaN"
    if isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    text = repr(value)
    point = text.find(".")
    if value < 0 or point < 0 or "e" in text:
        return text
    digits = f"{text[0]}.{text[1:point]}{text[point + 1 :]}".rstrip("0").rstrip(".")
    return f"{digits}e+{point - 1:02d}"


@lru_cache(maxsize=8192, typed=True)
def escape(value: LabelValue) -> str:
    """Return a label value as it stands between its quotes; what is no UTF-8 becomes `?`."""
    text = str(value).encode("utf-8", "replace").decode()
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _escape_doc(doc: str, *, openmetrics: bool) -> str:
    text = doc.replace("\\", "\\\\").replace("\n", "\\n")
    return text.replace('"', '\\"') if openmetrics else text
