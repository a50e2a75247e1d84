"""Everything counted, as the text that Prometheus scrapes."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

from epochly.inference.metrics import documented, summary
from epochly.inference.metrics.buckets import edges_of
from epochly.inference.metrics.distribution import Exemplar, together
from epochly.inference.metrics.exposition import exposition
from epochly.inference.metrics.instruments import LabelValue, Metric, Reading

if TYPE_CHECKING:
    from epochly.inference.metrics.collector import InferenceMetrics
    from epochly.inference.metrics.cost import CostEstimator


class PrometheusExporter:
    """Generates Prometheus exposition text from InferenceMetrics.

    `epochly.inference.metrics.exposition` has the content types of both formats, and reads from
    a scraper's `Accept` header which one it wants.

    Example:
        >>> from epochly.inference import InferenceMetrics
        >>> metrics = InferenceMetrics()
        >>> metrics.record_request("/predict", 12.5)
        >>> print(PrometheusExporter.export(metrics).splitlines()[2])
        epochly_inference_requests_total 1.0
    """

    @staticmethod
    def export(
        metrics: "InferenceMetrics",
        cost: "CostEstimator | None" = None,
        latency_buckets: Iterable[float] | None = None,
        model_labels: Mapping[LabelValue, str] | None = None,
        exemplars: bool | Mapping[LabelValue, Exemplar] | None = None,
    ) -> str:
        """Return all metrics; those that nothing was recorded for are 0, or have no series yet.

        Args:
            metrics: what was counted.
            cost: what it cost.
            latency_buckets: edges in seconds to show for model calls instead of the collector's
                own. One that was not counted at shows what lies below the next lower of those
                that were, which are 10 % apart.
            model_labels: what to call a model, by its id. Models of one name are shown as one.
            exemplars: None or False for the classic format, version 0.0.4. Exemplars are legal
                in OpenMetrics alone, so True returns OpenMetrics 1.0 with those that were
                recorded, and a mapping adds an observation in seconds for each model in it.

        Raises:
            ConfigurationError: a bucket edge is not a positive number.
        """
        edges = None if latency_buckets is None else edges_of(latency_buckets)
        given = exemplars if isinstance(exemplars, Mapping) else {}
        return exposition(
            families(metrics, cost, edges, given),
            openmetrics=exemplars is not None and exemplars is not False,
            names=model_labels,
        )


def families(
    metrics: "InferenceMetrics",
    cost: "CostEstimator | None" = None,
    edges: tuple[float, ...] | None = None,
    given: Mapping[LabelValue, Exemplar] = MappingProxyType({}),
) -> list[Metric]:
    """Return everything, from one reading, so that totals and parts agree.

    Args:
        metrics: what was counted.
        cost: what it cost.
        edges: to show for model calls, in seconds; None for those of the collector.
        given: an exemplar for each model in it.
    """
    shown = edges or metrics.latency.edges
    requests, calls = summary.total(metrics.requests), metrics.latency.collect()
    for (model,), seen in calls:
        if model in given:
            seen.keep(given[model])
    counts = [(labels, seen.count) for labels, seen in calls]
    every = together((seen for _, seen in calls), metrics.latency.bounds)
    by_model = Reading(
        metrics.latency.name, metrics.latency.doc, metrics.latency.labels,
        lambda: calls, kind="histogram", edges=shown,
    )  # fmt: skip
    return [
        *documented.requests(lambda: requests),
        *documented.inferences(lambda: counts),
        documented.latency(lambda: every, shown),
        documented.cache_hit_rate(metrics),
        *documented.costs(cost),
        by_model,
        *(family for family in metrics.families() if family.name != by_model.name),
    ]
