"""What the collector counts: every metric it owns, under its name and labels."""

from collections.abc import Iterable, Sequence
from threading import Lock

from epochly.inference.metrics import buckets
from epochly.inference.metrics.gpu import WatchedGauge
from epochly.inference.metrics.instruments import Counter, Gauge, Histogram

PREFIX = "epochly_inference_"


class Families:
    """The metrics of one collector; all share one lock, so that what is updated together agrees.

    Args:
        edges: bucket edges in seconds for model calls and requests.
        max_series: how many sets of label values each metric tells apart.

    Attributes:
        own: all of them, in the order of their exposition.
    """

    def __init__(self, edges: tuple[float, ...], max_series: int) -> None:
        self._lock = Lock()
        self._max_series = max_series
        self.own: list[Counter | Gauge | Histogram] = []
        self._open_request_families(edges)
        self._open_model_families(edges)
        self._open_generation_families()
        self.hits = self._counter("cache_hits_total", "Total cache hits")
        self.misses = self._counter("cache_misses_total", "Total cache misses")

    def _open_request_families(self, edges: tuple[float, ...]) -> None:
        self.requests = self._histogram(
            "request_duration_seconds", "Time from a request's arrival to its end",
            ("endpoint", "outcome"), edges,
        )  # fmt: skip
        self.in_flight = self._gauge("requests_in_flight", "Requests begun and not ended")

    def _open_model_families(self, edges: tuple[float, ...]) -> None:
        model = ("model",)
        self.latency = self._histogram(
            "model_latency_seconds", "Inference latency of each model in seconds", model, edges,
            buckets.FINE_S,
        )  # fmt: skip
        self.further_samples = Counter(
            "further_samples", "Samples beyond the first of each call", model,
            max_series=self._max_series, lock=self._lock,
        )  # fmt: skip
        self.errors = self._counter(
            "errors_total", "Inference calls that failed, by error", ("model", "error")
        )
        self.gpu_seconds = self._counter(
            "gpu_seconds_total", "GPU time spent in inference calls", model
        )
        self.gpu = self._watched(
            "gpu_utilization", "Per-model GPU compute utilization (0.0-1.0)", model
        )
        self.gpu_memory = self._watched(
            "gpu_memory_utilization", "Per-model GPU memory utilization (0.0-1.0)", model
        )

    def _open_generation_families(self) -> None:
        asked, payer = ("model", "operation"), ("model", "tenant")
        self.generations = self._histogram(
            "generation_duration_seconds", "Time from a request's arrival to its last token",
            ("model", "operation", "outcome"), buckets.GENERATION_S,
        )  # fmt: skip
        self.first_token = self._histogram(
            "time_to_first_token_seconds", "Time from a request's arrival to its first token",
            asked, buckets.FIRST_TOKEN_S,
        )  # fmt: skip
        self.inter_token = self._histogram(
            "inter_token_latency_seconds", "Mean time between the tokens of an answer",
            asked, buckets.OUTPUT_TOKEN_S,
        )  # fmt: skip
        self.queue = self._histogram(
            "queue_time_seconds", "Time a request waited for its turn", asked, buckets.FIRST_TOKEN_S
        )
        self.tokens = self._histogram(
            "tokens_per_generation", "Tokens of one prompt or one answer",
            ("model", "operation", "type"), buckets.TOKENS,
        )  # fmt: skip
        self.prompt_tokens = self._counter("prompt_tokens_total", "Prompt tokens read", payer)
        self.cached_tokens = self._counter(
            "prompt_tokens_cached_total", "Prompt tokens taken from a cache", payer
        )
        self.completion_tokens = self._counter(
            "completion_tokens_total", "Tokens generated, cancelled answers included", payer
        )
        self.cost = self._counter(
            "cost_usd_total", "Cost of answers in USD, cancelled ones included", payer
        )

    def _counter(self, name: str, doc: str, labels: Sequence[str] = ()) -> Counter:
        made = Counter(f"{PREFIX}{name}", doc, labels, max_series=self._max_series, lock=self._lock)
        self.own.append(made)
        return made

    def _gauge(self, name: str, doc: str) -> Gauge:
        made = Gauge(f"{PREFIX}{name}", doc, lock=self._lock)
        self.own.append(made)
        return made

    def _watched(self, name: str, doc: str, labels: Sequence[str]) -> WatchedGauge:
        made = WatchedGauge(
            f"{PREFIX}{name}", doc, labels, max_series=self._max_series, lock=self._lock
        )
        self.own.append(made)
        return made

    def _histogram(
        self,
        name: str,
        doc: str,
        labels: Sequence[str],
        edges: Iterable[float],
        resolution: Iterable[float] = (),
    ) -> Histogram:
        made = Histogram(
            f"{PREFIX}{name}", doc, labels, edges,
            resolution=resolution, max_series=self._max_series, lock=self._lock,
        )  # fmt: skip
        self.own.append(made)
        return made
