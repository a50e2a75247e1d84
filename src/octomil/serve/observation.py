"""What is known about one request when it has left, and everything that is told about it."""

from dataclasses import dataclass, field
from time import perf_counter

from octomil.engines.base import Usage
from octomil.serve.metrics import ROUTING_BUCKETS_S, Counter, Histogram, Metric
from octomil.serve.request_log import RequestLog
from octomil.serve.stats import RoutingStats


@dataclass(slots=True)
class Observation:
    """One request, from its first byte to its last.

    Attributes:
        model: the model that answered, `tier0`, or empty if none was chosen.
        tier: 0 to 3; -1 if none was chosen.
        routed: whether the router chose, rather than the client.
        outcome: `stop`, `length`, `tool_calls`, `cancelled`, or `error:CODE`.
        cost_usd: what the answer cost; None where no price is known.
    """

    started: float = field(default_factory=perf_counter)
    model: str = ""
    tier: int = -1
    routed: bool = False
    routing_s: float = 0.0
    queue_s: float = 0.0
    first_byte: float | None = None
    last_byte: float | None = None
    usage: Usage = field(default_factory=Usage)
    outcome: str = ""
    cost_usd: float | None = None

    @property
    def routing_us(self) -> int:
        """The routing decision in whole microseconds, at least 1."""
        return max(1, round(self.routing_s * 1e6))


class Recorder:
    """Turns observations into metrics, routing statistics and log lines.

    Args:
        stats: the routing statistics to feed.
        log: gets a line per request; None writes none.
    """

    def __init__(self, stats: RoutingStats, log: RequestLog | None = None) -> None:
        self.stats = stats
        self.log = log
        model = ("model_name",)
        self._success = Counter(
            "octomil:request_success_total",
            "Requests answered, by reason of the end.",
            ("model_name", "finished_reason"),
        )
        self._failure = Counter(
            "octomil:request_failure_total",
            "Requests not answered, by reason.",
            ("model_name", "reason"),
        )
        self._decisions = Counter(
            "octomil:routing_decisions_total",
            "Requests by the tier and model they went to.",
            ("model_name", "tier"),
        )
        self._prompt = Counter("octomil:prompt_tokens_total", "Prompt tokens read.", model)
        self._cached = Counter(
            "octomil:prompt_tokens_cached_total", "Prompt tokens taken from a cache.", model
        )
        self._generated = Counter("octomil:generation_tokens_total", "Tokens generated.", model)
        self._routing = Histogram(
            "octomil:routing_latency_seconds",
            "Time to decide where a request goes.",
            buckets=ROUTING_BUCKETS_S,
        )
        self._queue = Histogram(
            "octomil:request_queue_time_seconds", "Time a request waited for its turn.", model
        )
        self._ttft = Histogram(
            "octomil:time_to_first_token_seconds", "Time to the first token.", model
        )
        self._itl = Histogram(
            "octomil:inter_token_latency_seconds",
            "Mean time between the tokens of an answer.",
            model,
        )
        self._e2e = Histogram(
            "octomil:e2e_request_latency_seconds", "Time to the last token.", model
        )

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """Everything recorded here, for exposition."""
        return (
            self._success, self._failure, self._decisions, self._prompt, self._cached,
            self._generated, self._routing, self._queue, self._ttft, self._itl, self._e2e,
        )  # fmt: skip

    def record(self, seen: Observation) -> None:
        """Tell about a request that has left, however it left."""
        now = perf_counter()
        failed = seen.outcome.startswith("error:") or seen.outcome == "cancelled"
        if failed:
            self._failure.add(1, seen.model, seen.outcome.removeprefix("error:"))
        else:
            self._success.add(1, seen.model, seen.outcome)
        if seen.tier >= 0:
            self._decisions.add(1, seen.model, str(seen.tier))
            self._routing.observe(seen.routing_s)
        if seen.tier > 0:
            self._record_generation(seen, now)
        if seen.tier >= 0 and not failed:
            self.stats.count(seen.model, seen.routing_s, seen.usage.completion_tokens)
        if self.log is not None:
            self.log.write(log_line(seen, now - seen.started))

    def record_embedding(self, seen: Observation) -> None:
        """Tell about an embeddings request, which is neither routed nor generates."""
        if seen.outcome.startswith("error:") or seen.outcome == "cancelled":
            self._failure.add(1, seen.model, seen.outcome.removeprefix("error:"))
        else:
            self._success.add(1, seen.model, seen.outcome)
            self._prompt.add(seen.usage.prompt_tokens, seen.model)
        self._e2e.observe(perf_counter() - seen.started, seen.model)

    def _record_generation(self, seen: Observation, now: float) -> None:
        usage = seen.usage
        self._prompt.add(usage.prompt_tokens, seen.model)
        self._cached.add(usage.cached_tokens, seen.model)
        self._generated.add(usage.completion_tokens, seen.model)
        self._queue.observe(seen.queue_s, seen.model)
        self._e2e.observe(now - seen.started, seen.model)
        if seen.first_byte is not None:
            self._ttft.observe(seen.first_byte - seen.started, seen.model)
            if seen.last_byte is not None and usage.completion_tokens > 1:
                seconds = seen.last_byte - seen.first_byte
                self._itl.observe(seconds / (usage.completion_tokens - 1), seen.model)
                self.stats.observe_speed(seen.model, usage.completion_tokens - 1, seconds)


def log_line(seen: Observation, seconds: float) -> str:
    """Return one readable line about a request."""
    where = f"tier {seen.tier} {seen.model}" if seen.tier >= 0 else "not routed"
    usage = seen.usage
    tokens = f"{usage.prompt_tokens}+{usage.completion_tokens} tok"
    first = f" ttft {seen.first_byte - seen.started:.3f} s" if seen.first_byte is not None else ""
    cost = "" if seen.cost_usd is None else f" ${seen.cost_usd:.6g}"
    return (
        f"[request] {where} {seen.routing_us} µs {tokens}{first} "
        f"total {seconds:.3f} s{cost} {seen.outcome}\n"
    )
