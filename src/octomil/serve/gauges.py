"""What `/metrics` reads off the node when it is asked, rather than counts."""

from collections.abc import Iterator, Mapping

from epochly.inference.metrics.instruments import LabelValues, Reading
from octomil.engines.pooled import EngineState
from octomil.serve.breakers import STATE_NUMBERS
from octomil.serve.node import Node

_MODEL = ("model_name",)


def gauges(node: Node, busy: Mapping[str, int]) -> Iterator[Reading]:
    """Yield the node's gauges.

    Args:
        node: what is looked at.
        busy: how many requests each engine says it works on.
    """
    queues = node.queues()
    yield _gauge(
        "num_requests_running",
        "Requests that engines work on.",
        {(name,): queue.active for name, queue in queues.items()},
    )
    yield _gauge(
        "num_requests_waiting",
        "Requests waiting for their turn.",
        {(name,): queue.pending for name, queue in queues.items()},
    )
    yield _gauge(
        "engine_slots_busy",
        "Requests at work, as the engine sees it; absent while it does not say.",
        {(name,): requests for name, requests in busy.items()},
    )
    yield _gauge(
        "engine_up",
        "Whether the engine can take requests; absent for one that is loaded by its first "
        "request, until then.",
        {(n,): entry.state is EngineState.READY for n, entry in node.pool if entry.should_be_up},
    )
    yield _gauge(
        "engine_restarts",
        "How often the engine died and was brought back.",
        {(name,): entry.restarts for name, entry in node.pool},
    )
    yield _gauge(
        "breaker_state",
        "0 while the engine is asked, 1 while one request finds out whether it has recovered, "
        "2 while it is not asked because it kept failing.",
        {(name,): STATE_NUMBERS[node.breakers.state(name)] for name, _ in node.pool},
    )
    saved = node.recorder.stats.savings()
    yield _saving(
        "estimated_compute_savings_ratio",
        "Share of compute-seconds that routing saved, against the largest model alone; absent "
        "while nobody can tell.",
        saved.compute_ratio if saved else None,
    )
    yield _saving(
        "estimated_latency_reduction_seconds",
        "Mean seconds that routing saved a request, against the largest model alone; absent "
        "while nobody can tell.",
        saved.latency_reduction_s if saved else None,
    )
    yield _lost_lines(node)


def _lost_lines(node: Node) -> Reading:
    log = node.recorder.log
    return Reading(
        "octomil:log_lines_lost_total",
        "Lines of the log that could not be written, because nobody read them or the disk is full.",
        (),
        {(): float(log.lost if log else 0)}.items,
        kind="counter",
    )


def _saving(name: str, doc: str, value: float | None) -> Reading:
    values: dict[LabelValues, float] = {} if value is None else {(): value}
    return Reading(f"octomil:{name}", doc, (), values.items)


def _gauge(name: str, doc: str, values: Mapping[LabelValues, float]) -> Reading:
    return Reading(f"octomil:{name}", doc, _MODEL, values.items)
