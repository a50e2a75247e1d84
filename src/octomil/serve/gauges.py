"""What `/metrics` reads off the node when it is asked, rather than counts."""

from collections.abc import Iterator, Mapping

from epochly.inference.metrics.instruments import LabelValues, Reading
from octomil.engines.pool import EngineState
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


def _gauge(name: str, doc: str, values: Mapping[LabelValues, float]) -> Reading:
    return Reading(f"octomil:{name}", doc, _MODEL, values.items)
