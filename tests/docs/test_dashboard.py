"""The dashboard and the alerts ask for metrics and labels that there are, and for all of them."""

import json
import re

import pytest

from octomil.engines.pool import EnginePool
from octomil.errors import EngineError, ModelError, OctomilError, QueueError, RoutingError
from octomil.serve.errors import error_answer
from octomil.serve.gauges import gauges
from octomil.serve.node import Node
from octomil.serve.recorder import Recorder
from octomil.serve.stats import RoutingStats
from support.documents import ROOT

DASHBOARD = json.loads((ROOT / "docs/grafana/octomil.json").read_text(encoding="utf-8"))
DOCUMENT = (ROOT / "docs/observability.md").read_text(encoding="utf-8")

METRIC = re.compile(r"octomil:\w+")
MATCHER = re.compile(r"(\w+)\s*(?:=~|!~|!=|=)\s*\"")
GROUPING = re.compile(r"\bby \(([^)]*)\)")
SUFFIX = re.compile(r"_(?:bucket|sum|count)$")

EXPRESSIONS = [target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]]
ALERTS = [
    " ".join(found.split())
    for found in re.findall(
        r"^ +expr: (?:>\n)?((?:.+\n)+?)(?= +(?:for|- alert):|```)", DOCUMENT, re.MULTILINE
    )
]


def labels_by_name() -> dict[str, set[str]]:
    """What a node shows, and by which labels."""
    node = Node(models={}, pool=EnginePool(print), recorder=Recorder(RoutingStats(), None))
    shown = [*node.recorder.metrics, node.breakers.transitions, *gauges(node, {})]
    return {
        metric.name: {*metric.labels, *(["le"] if metric.kind == "histogram" else [])}
        for metric in shown
    }


KNOWN = labels_by_name()


def metrics_in(expression: str) -> set[str]:
    names = METRIC.findall(expression)
    return {name if name in KNOWN else SUFFIX.sub("", name) for name in names}


@pytest.mark.parametrize("expression", [*EXPRESSIONS, *ALERTS])
def test_expression_asks_for_what_there_is(expression):
    names = metrics_in(expression)
    labels = set(MATCHER.findall(expression))
    for group in GROUPING.findall(expression):
        labels |= {label.strip() for label in group.split(",")}

    assert names
    assert names <= KNOWN.keys()
    assert labels <= set.union(*(KNOWN[name] for name in names))
    assert expression.count("(") == expression.count(")")


def test_every_metric_is_on_the_dashboard():
    assert set.union(*map(metrics_in, EXPRESSIONS)) == KNOWN.keys()


def test_there_are_as_many_alerts_as_the_document_says():
    assert len(ALERTS) == DOCUMENT.count("- alert:") > 0


def kinds_of(error: type[OctomilError]) -> set[type[OctomilError]]:
    return {error}.union(*map(kinds_of, error.__subclasses__()))


def test_requests_fail_by_faults_of_the_node_and_its_engines_alone():
    ways = set.union(*map(kinds_of, (EngineError, QueueError, ModelError, RoutingError)))
    answers = [error_answer(error("it failed")) for error in (OctomilError, *ways)]
    (alert,) = (expression for expression in ALERTS if "request_failure_total" in expression)

    (reasons,) = re.findall(r'request_failure_total\{reason=~"([\w|]+)"\}', alert)

    assert set(reasons.split("|")) == {answer.code for answer in answers if answer.status >= 500}
    assert alert.count("request_failure_total") == 1


@pytest.mark.parametrize("panel", DASHBOARD["panels"], ids=lambda panel: panel["title"])
def test_panel_has_a_place_of_its_own_and_labels_its_lines_by_what_there_is(panel):
    places = [other["gridPos"] for other in DASHBOARD["panels"]]
    assert places.count(panel["gridPos"]) == 1
    assert [other["id"] for other in DASHBOARD["panels"]].count(panel["id"]) == 1
    for target in panel["targets"]:
        known = set.union(*(KNOWN[name] for name in metrics_in(target["expr"])))
        assert set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"])) <= known
