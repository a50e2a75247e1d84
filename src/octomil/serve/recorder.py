"""Everything that is told about a request that has left: metrics, statistics, a line of the log."""

from collections.abc import Mapping, Sequence
from time import perf_counter
from typing import Any

from epochly.inference.metrics.distribution import Exemplar
from epochly.inference.metrics.instruments import Counter, Histogram, Metric
from octomil.serve.audit import NodeAudit
from octomil.serve.observation import DEFAULT_TENANT, Observation
from octomil.serve.request_log import RequestLog
from octomil.serve.routing_minutes import RoutingMinutes
from octomil.serve.stats import RoutingStats
from octomil.serve.usage import UsageCounters

LATENCY_S = (
    0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75,
    1.0, 2.5, 5.0, 7.5, 10.0, 20.0, 40.0, 80.0,
)  # fmt: skip
ROUTING_S = (1e-5, 2.5e-5, 5e-5, 1e-4, 2.5e-4, 5e-4, 1e-3, 5e-3)
"""Bucket edges."""


class Recorder:
    """Turns observations into metrics, routing statistics and log lines.

    Args:
        stats: the routing statistics to feed.
        log: gets a line per request; None writes none.

    Attributes:
        metrics: everything recorded here, for exposition.
        audit: notes every request as well, if there is one.
        minutes: count what the control plane is told, if there is one.
    """

    def __init__(self, stats: RoutingStats, log: RequestLog | None = None) -> None:
        self.stats = stats
        self.log = log
        self.audit: NodeAudit | None = None
        self.minutes: RoutingMinutes | None = None
        self.metrics: list[Metric] = []
        model, placed = ("model_name",), ("model_name", "tier")
        count, time = self._counter, self._histogram
        self._success = count(
            "request_success_total",
            "Requests answered, by reason of the end.",
            ("model_name", "finished_reason"),
        )
        self._failure = count(
            "request_failure_total", "Requests not answered, by reason.", ("model_name", "reason")
        )
        self._decisions = count(
            "routing_decisions_total", "Routed requests by the tier and model they went to.", placed
        )
        self._subtasks = count(
            "subtasks_total",
            "Tasks of messages that asked for several, by the tier and model they went to.",
            placed,
        )
        self._escalations = count(
            "escalations_total", "Answers dropped because their model was not sure of them.", model
        )
        self._refused_keys = count(
            "refused_keys_total", "Requests turned away because their key is missing or wrong.", ()
        )
        self._usage = UsageCounters()
        self.metrics += self._usage.metrics
        self._routing = time(
            "routing_latency_seconds", "Time to decide where a request goes.", (), ROUTING_S
        )
        self._queue = time("request_queue_time_seconds", "Time a request waited for its turn.")
        self._ttft = time("time_to_first_token_seconds", "Time to the first token.")
        self._itl = time(
            "inter_token_latency_seconds", "Mean time between the tokens of an answer."
        )
        self._e2e = time("e2e_request_latency_seconds", "Time to the last token.")

    def _counter(self, name: str, doc: str, labels: Sequence[str]) -> Counter:
        counter = Counter(f"octomil:{name}", doc, labels)
        self.metrics.append(counter)
        return counter

    def _histogram(
        self,
        name: str,
        doc: str,
        labels: Sequence[str] = ("model_name",),
        buckets: Sequence[float] = LATENCY_S,
    ) -> Histogram:
        histogram = Histogram(f"octomil:{name}", doc, labels, buckets)
        self.metrics.append(histogram)
        return histogram

    def record(self, seen: Observation) -> None:
        """Tell about a request that has left, however it left."""
        now = perf_counter()
        failed = seen.outcome.startswith("error:") or seen.outcome == "cancelled"
        if failed:
            self._failure.add(1, seen.model, seen.outcome.removeprefix("error:"))
        else:
            self._success.add(1, seen.model, seen.outcome)
        if seen.routed and seen.tier >= 0:
            self._record_decision(seen, failed=failed)
        if seen.tier > 0:
            self._record_times(seen, now)
        for part in seen.subtasks or (seen,):
            self._record_waits(part)
            if part.tier > 0:
                self._record_generation(part, seen.tenant)
        if self.minutes is not None:
            self.minutes.count(seen)
        self._tell(seen, now)

    def record_embedding(self, seen: Observation) -> None:
        """Tell about an embeddings request, which is neither routed nor generates."""
        if seen.outcome.startswith("error:") or seen.outcome == "cancelled":
            self._failure.add(1, seen.model, seen.outcome.removeprefix("error:"))
        else:
            self._success.add(1, seen.model, seen.outcome)
        if seen.usage.prompt_tokens:
            self._usage.add(seen.tenant, seen.model, seen.usage, seen.cost_usd)
        self._record_waits(seen)
        now = perf_counter()
        self._e2e.observe(now - seen.started, seen.model)
        self._tell(seen, now)

    def record_refused_key(self, scope: Mapping[str, Any], request_id: str) -> None:
        """Tell about a request that was turned away because its key is missing or wrong.

        Args:
            scope: the request's ASGI scope.
            request_id: what it is called.
        """
        self._refused_keys.add(1)
        if self.audit is not None:
            client, _ = scope.get("client") or (None, None)
            self.audit.refused_key(scope["path"], client, request_id)

    def _tell(self, seen: Observation, now: float) -> None:
        if self.log is not None:
            self.log.write(log_line(seen, now - seen.started))
        if self.audit is not None:
            self.audit.request(seen)

    def _record_decision(self, seen: Observation, *, failed: bool) -> None:
        """Record where the router sent the request, the same for the metrics and the statistics.

        The tokens of several tasks count with the models that wrote them. An answer that failed
        saved nothing, and what another model would have made of it is not known.
        """
        self._decisions.add(1, seen.model, str(seen.tier))
        self._routing.observe(seen.routing_s)
        alone = 0 if failed or seen.subtasks else seen.usage.completion_tokens
        self.stats.count(seen.model, seen.routing_s, alone)
        for part in seen.subtasks:
            self._subtasks.add(1, part.model, str(part.tier))
            self.stats.count_subtask(part.model, 0 if failed else part.usage.completion_tokens)

    def _record_times(self, seen: Observation, now: float) -> None:
        """Record what the client waited for."""
        total_s = now - seen.started
        self._e2e.observe(total_s, seen.model, exemplar=_exemplar(seen, total_s))
        if seen.timing.first_at is not None:
            first_s = seen.timing.first_at - seen.started
            self._ttft.observe(first_s, seen.model, exemplar=_exemplar(seen, first_s))

    def _record_waits(self, seen: Observation) -> None:
        for model, seconds in seen.waits:
            self._queue.observe(seconds, model)

    def _record_generation(self, seen: Observation, tenant: str) -> None:
        """Record what the model did that answered, and what others did in vain before it."""
        usage = seen.usage
        self._usage.add(tenant, seen.model, usage, seen.cost_usd)
        for spent in (*seen.dropped, *seen.broken):
            self._usage.add(tenant, spent.model, spent.usage, spent.cost_usd)
        for dropped in seen.dropped:
            self._escalations.add(1, dropped.model)
            self.stats.count_dropped(dropped.model, dropped.usage.completion_tokens)
        pace = seen.timing.pace(usage.completion_tokens)
        if pace is not None:
            self._itl.observe(pace.seconds / pace.tokens, seen.model)
        pace = pace or seen.pace
        if pace is not None:
            self.stats.observe_speed(seen.model, *pace)


def _exemplar(seen: Observation, seconds: float) -> Exemplar:
    """Return a time with the trace it belongs to, or with the request where there is none."""
    trace_id = None if seen.context is None else seen.context.trace_id
    if trace_id is None:
        return Exemplar(seen.request_id, seconds, label="request_id")
    return Exemplar(trace_id, seconds)


def log_line(seen: Observation, seconds: float) -> str:
    """Return one readable line about a request; one of several tasks names who did each."""
    named = f" id {seen.request_id}" if seen.request_id else ""
    who = "" if seen.tenant == DEFAULT_TENANT else f"{seen.tenant} "
    where = seen.model or "not routed"
    if seen.tier >= 0:
        where = f"tier {seen.tier} {seen.model} {seen.routing_us} µs"
    usage = seen.usage
    tokens = f"{usage.prompt_tokens}+{usage.completion_tokens} tok"
    first_at = seen.timing.first_at
    first = "" if first_at is None else f" ttft {first_at - seen.started:.3f} s"
    cost_usd = seen.total_cost_usd
    cost = "" if cost_usd is None else f" ${cost_usd:.6g}"
    escalated = f" escalated from {seen.escalated_from}" if seen.escalated_from else ""
    tasks = f" tasks {','.join(part.model for part in seen.subtasks)}" if seen.subtasks else ""
    return (
        f"[request] {who}{where} {tokens}{first} "
        f"total {seconds:.3f} s{cost} {seen.outcome}{escalated}{tasks}{named}\n"
    )
