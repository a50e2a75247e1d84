"""The one place where inference is counted."""

from bisect import bisect_left
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from functools import partial
from math import inf
from time import perf_counter
from typing import Any

from epochly.errors import ConfigurationError
from epochly.inference.metrics import buckets, summary
from epochly.inference.metrics.distribution import Distribution, Exemplar
from epochly.inference.metrics.families import PREFIX, Families
from epochly.inference.metrics.generation import CANCELLED, DEFAULT_TENANT, OK, Generation
from epochly.inference.metrics.gpu import GpuReader
from epochly.inference.metrics.instruments import MAX_SERIES, OTHER, Metric, Reading
from epochly.inference.metrics.request import Price, RequestRecorder


def _wall_clock() -> float:
    return datetime.now(UTC).timestamp()


class InferenceMetrics(Families):
    """Central collector of request, model, cache and GPU statistics.

    Every method may be called from any thread. Memory is bounded: at most `max_series` sets of
    label values are told apart in each metric, the rest are counted together as `other`, and
    how often that happened is itself a metric. A record takes less than a microsecond.

    Args:
        latency_buckets: bucket edges in seconds for model calls and requests.
        max_series: how many models, endpoints and so on are told apart.
        clock: a monotonic clock in seconds, for the requests recorded by `start_request`.
        wall_clock: seconds since 1970, for the time of exemplars.

    Example:
        >>> metrics = InferenceMetrics()
        >>> metrics.record_inference("bert", 12.5, batch_size=8)
        >>> metrics.get_model_stats("bert")["samples"]
        8
    """

    def __init__(
        self,
        *,
        latency_buckets: Iterable[float] = buckets.LATENCY_S,
        max_series: int = MAX_SERIES,
        clock: Callable[[], float] = perf_counter,
        wall_clock: Callable[[], float] = _wall_clock,
    ) -> None:
        super().__init__(buckets.edges_of(latency_buckets), max_series)
        self.clock = clock
        self._wall_clock = wall_clock
        self.started_unix_s = wall_clock()
        self._find_request = self.requests.series.get
        self._find_model = self.latency.series.get

    def record_request(
        self,
        endpoint: str,
        total_ms: float,
        *,
        outcome: str = OK,
        trace_id: str | None = None,
        generations: Iterable[Generation] = (),
    ) -> None:
        """Record a request that has ended, however it ended.

        Args:
            endpoint: a route, never a raw path, so that it has few values.
            total_ms: from its arrival to its end, in milliseconds.
            outcome: `ok`, `cancelled`, or an error's code.
            trace_id: the trace it belongs to, for an exemplar.
            generations: what each model did for it.

        Raises:
            ConfigurationError: `total_ms` is negative or no number.
        """
        if not 0 <= total_ms < inf:
            raise ConfigurationError(f"total_ms must be a number of at least 0, got {total_ms}")
        seconds = total_ms / 1000
        labels = (endpoint, outcome)
        series = self._find_request(labels) or self.requests.open(labels)
        index = bisect_left(series.bounds, seconds)
        with self._lock:
            series.counts[index] += 1
            series.total += seconds
        if trace_id is not None:
            self._keep(series, seconds, trace_id)
        for generation in generations:
            self.record_generation(generation)

    def record_inference(
        self,
        model_id: int | str,
        latency_ms: float,
        batch_size: int = 1,
        *,
        gpu_ms: float | None = None,
        error: str | None = None,
        trace_id: str | None = None,
    ) -> None:
        """Record one call of a model.

        Args:
            model_id: the model's name, digest or `id()`.
            latency_ms: how long the call took, in milliseconds.
            batch_size: how many samples it answered.
            gpu_ms: how long the GPU worked for it, in milliseconds.
            error: the code or type of the error it ended with.
            trace_id: the trace it belongs to, for an exemplar.

        Raises:
            ConfigurationError: a time is negative or no number, or the batch is empty.
        """
        if not 0 <= latency_ms < inf:
            raise ConfigurationError(f"latency_ms must be a number of at least 0, got {latency_ms}")
        detailed = batch_size != 1 or gpu_ms is not None or error is not None
        if detailed:
            _check_call(batch_size, gpu_ms)
        seconds = latency_ms / 1000
        # Written out here and in record_request: one call more would be a fifth of the time.
        series = self._find_model((model_id,)) or self.latency.open((model_id,))
        index = bisect_left(series.bounds, seconds)
        with self._lock:
            series.counts[index] += 1
            series.total += seconds
        if detailed:
            self._record_details(model_id, batch_size, gpu_ms, error)
        if trace_id is not None:
            self._keep(series, seconds, trace_id)

    def record_generation(self, seen: Generation) -> None:
        """Record what one model did for a request; it counts as one call of the model, too."""
        asked, payer = (seen.model_id, seen.operation), (seen.model_id, seen.tenant)
        failed = seen.outcome not in (OK, CANCELLED)
        at_work_s = max(0.0, seen.duration_s - (seen.queue_s or 0.0))
        self.record_inference(
            seen.model_id, at_work_s * 1000, error=seen.outcome if failed else None
        )
        self.generations.observe(seen.duration_s, *asked, seen.outcome)
        for family, value in (
            (self.queue, seen.queue_s),
            (self.first_token, seen.first_token_s),
            (self.inter_token, seen.inter_token_s),
        ):
            if value is not None:
                family.observe(value, *asked)
        if seen.prompt_tokens:
            self.tokens.observe(seen.prompt_tokens, *asked, "input")
        if seen.completion_tokens:
            self.tokens.observe(seen.completion_tokens, *asked, "output")
        self.prompt_tokens.add(seen.prompt_tokens, *payer)
        self.cached_tokens.add(seen.cached_tokens, *payer)
        self.completion_tokens.add(seen.completion_tokens, *payer)
        if seen.cost_usd is not None:
            self.cost.add(seen.cost_usd, *payer)

    def start_request(
        self,
        endpoint: str,
        *,
        model_id: int | str | None = None,
        tenant: str = DEFAULT_TENANT,
        operation: str = "chat",
        price: Price | None = None,
        trace_id: str | None = None,
    ) -> RequestRecorder:
        """Begin to record one request that generates tokens.

        Args:
            endpoint: a route, never a raw path.
            model_id: the model, if it is known yet; it can be set on the recorder later.
            tenant: who pays.
            operation: `chat`, `text_completion` or `embeddings`.
            price: USD for so many prompt and completion tokens.
            trace_id: the trace it belongs to.
        """
        self.in_flight.add(1)
        return RequestRecorder(
            self,
            endpoint,
            model_id=model_id,
            tenant=tenant,
            operation=operation,
            price=price,
            trace_id=trace_id,
        )

    def record_cache_hit(self) -> None:
        """Count one answer taken from a cache."""
        self.hits.add(1)

    def record_cache_miss(self) -> None:
        """Count one answer a cache did not have."""
        self.misses.add(1)

    def record_gpu(
        self,
        model_id: int | str,
        utilization: float | None = None,
        memory_utilization: float | None = None,
    ) -> None:
        """Record how busy the GPU of a model is; what was never told is not shown, rather than 0.

        Args:
            model_id: the model's name, digest or `id()`.
            utilization: of its compute units, 0 to 1.
            memory_utilization: of its memory, 0 to 1.

        Raises:
            ConfigurationError: a share is not between 0 and 1.
        """
        for share in (utilization, memory_utilization):
            if share is not None and not 0 <= share <= 1:
                raise ConfigurationError(f"a utilization is between 0 and 1, got {share}")
        if utilization is not None:
            self.gpu.set(utilization, model_id)
        if memory_utilization is not None:
            self.gpu_memory.set(memory_utilization, model_id)

    def watch_gpu(self, model_id: int | str, gpus: GpuReader, device: int | str = 0) -> None:
        """Read how busy the GPU of a model is each time the metrics are shown.

        What the GPU does not tell, or no longer, is not shown. `record_gpu` is for what no reader
        knows.

        Args:
            model_id: the model's name, digest or `id()`.
            gpus: who is asked, such as `NvmlGpus()`; it stays the caller's to close.
            device: the GPU's index or UUID.

        Raises:
            EpochlyError: the GPU cannot be asked now.
        """
        self.gpu.watch(partial(gpus.utilization, device), model_id)
        self.gpu_memory.watch(partial(gpus.memory_utilization, device), model_id)

    def get_all_metrics(self) -> dict[str, Any]:
        """Return everything as plain values.

        Returns:
            `requests` (`total`, `avg_latency_ms`, `in_flight`, `by_endpoint`), `inferences`,
            `models` (per id, as `get_model_stats`), `cache` (as `get_cache_stats`), `gpu` (per
            id), `tokens`, `cost_usd` (per tenant) and `dropped` (records counted as `other`).
        """
        return summary.everything(self)

    def get_model_stats(self, model_id: int | str) -> dict[str, Any] | None:
        """Return what is known about one model, or None if it was never called.

        Returns:
            `inferences`, `samples`, `avg_batch_size`, `errors`, `avg_latency_ms`, the quantiles
            `p50_latency_ms`, `p95_latency_ms` and `p99_latency_ms` (each within 10 %),
            `gpu_seconds`, and `gpu_utilization` and `gpu_memory_utilization` where they are known.
        """
        return summary.model(self, model_id)

    def get_cache_stats(self) -> dict[str, Any]:
        """Return `hits`, `misses` and `hit_rate`, which is 0 before the first look-up."""
        return summary.cache(self)

    def families(self) -> list[Metric]:
        """Return every metric recorded here, to be shown."""
        return [
            *self.own,
            Reading(
                f"{PREFIX}samples_total", "Samples answered by inference calls", ("model",),
                partial(summary.samples, self), kind="counter",
            ),
            Reading(
                f"{PREFIX}labels_dropped_total",
                "Records counted as `other` because a metric had too many label values",
                ("metric",), partial(summary.dropped, self), kind="counter",
            ),
        ]  # fmt: skip

    def _record_details(
        self, model_id: int | str, batch_size: int, gpu_ms: float | None, error: str | None
    ) -> None:
        known = model_id if (model_id,) in self.latency.series else OTHER
        if batch_size != 1:
            self.further_samples.add(batch_size - 1, known)
        if gpu_ms is not None:
            self.gpu_seconds.add(gpu_ms / 1000, known)
        if error is not None:
            self.errors.add(1, known, error)

    def _keep(self, series: Distribution, seconds: float, trace_id: str) -> None:
        exemplar = Exemplar(trace_id, seconds, self._wall_clock())
        with self._lock:
            series.keep(exemplar)


def _check_call(batch_size: int, gpu_ms: float | None) -> None:
    if batch_size < 1:
        raise ConfigurationError(f"batch_size must be at least 1, got {batch_size}")
    if gpu_ms is not None and not 0 <= gpu_ms < inf:
        raise ConfigurationError(f"gpu_ms must be a number of at least 0, got {gpu_ms}")
