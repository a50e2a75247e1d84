"""The record of one request while it runs: what it has used so far is never lost."""

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from threading import Lock
from types import TracebackType
from typing import Protocol

from epochly.inference.metrics.generation import CANCELLED, OK, Generation
from epochly.inference.metrics.instruments import Gauge

Price = Callable[[int, int], float]
"""USD for so many prompt and completion tokens."""

_END = Lock()
"""Held only to decide who ends a request, so one for all is enough."""


class Collector(Protocol):
    """Where the record goes when the request ends."""

    clock: Callable[[], float]
    in_flight: Gauge

    def record_request(
        self,
        endpoint: str,
        total_ms: float,
        *,
        outcome: str,
        trace_id: str | None,
        generations: Iterable[Generation],
    ) -> None:
        """Record a request that has ended."""


class RequestRecorder(AbstractContextManager["RequestRecorder"]):
    """One request from its arrival to its end, recorded exactly once.

    Call `begin` when its turn has come, `add_tokens` for what is generated, and `end`. As a
    context manager it ends by itself: `ok`, or `cancelled` when the client has left
    (`CancelledError`, `GeneratorExit`), or with the code or the type of what was raised.
    Tokens are counted as they come, so an answer that breaks off keeps its tokens and its cost.

    Attributes:
        model_id: may be set until the end; without one only the request is recorded.
        prompt_tokens, cached_tokens, completion_tokens: so far. Set them where the engine tells
            exact numbers, which then hold.
        cost_usd: what it cost, where that is known better than the price tells.

    Example:
        >>> from epochly.inference import InferenceMetrics
        >>> metrics = InferenceMetrics()
        >>> with metrics.start_request("/v1/chat/completions", model_id="phi") as request:
        ...     request.begin()
        ...     request.prompt_tokens = 12
        ...     for _ in range(3):
        ...         request.add_tokens(1)
        >>> metrics.get_all_metrics()["tokens"]
        {'prompt': 12, 'cached': 0, 'completion': 3}
    """

    __slots__ = (
        "_arrived",
        "_began",
        "_collector",
        "_ended",
        "_endpoint",
        "_first",
        "_last",
        "_operation",
        "_price",
        "_tenant",
        "_trace_id",
        "cached_tokens",
        "completion_tokens",
        "cost_usd",
        "model_id",
        "prompt_tokens",
    )  # fmt: skip

    def __init__(
        self,
        collector: Collector,
        endpoint: str,
        *,
        model_id: int | str | None,
        tenant: str,
        operation: str,
        price: Price | None,
        trace_id: str | None,
    ) -> None:
        self._collector = collector
        self._endpoint, self._tenant, self._operation = endpoint, tenant, operation
        self._price, self._trace_id = price, trace_id
        self._arrived = collector.clock()
        self._began: float | None = None
        self._first: float | None = None
        self._last: float | None = None
        self._ended = False
        self.model_id = model_id
        self.prompt_tokens = self.cached_tokens = self.completion_tokens = 0
        self.cost_usd: float | None = None

    def begin(self) -> None:
        """Say that the wait is over and the model starts; the first call counts."""
        if self._began is None:
            self._began = self._collector.clock()

    def add_tokens(self, count: int = 1) -> None:
        """Count tokens as they are generated; the first call is the time to first token."""
        self._last = self._collector.clock()
        if self._first is None:
            self._first = self._last
        self.completion_tokens += count

    def end(self, outcome: str = OK) -> bool:
        """Record the request.

        Args:
            outcome: `ok`, `cancelled`, or an error's code.

        Returns:
            Whether this call ended it; every later one does nothing.
        """
        with _END:
            if self._ended:
                return False
            self._ended = True
        self._collector.in_flight.add(-1)
        duration_s = self._collector.clock() - self._arrived
        cost_usd = self.cost_usd
        try:
            if cost_usd is None and self._price is not None:
                cost_usd = self._price(self.prompt_tokens, self.completion_tokens)
        finally:  # a price list that fails must not take the tokens with it
            self._collector.record_request(
                self._endpoint,
                duration_s * 1000,
                outcome=outcome,
                trace_id=self._trace_id,
                generations=self._generations(duration_s, outcome, cost_usd),
            )
        return True

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.end(OK if error is None else outcome_of(error))

    def _generations(
        self, duration_s: float, outcome: str, cost_usd: float | None
    ) -> tuple[Generation, ...]:
        if self.model_id is None:
            return ()
        done = Generation(
            model_id=self.model_id,
            operation=self._operation,
            tenant=self._tenant,
            outcome=outcome,
            duration_s=duration_s,
            queue_s=None if self._began is None else self._began - self._arrived,
            first_token_s=None if self._first is None else self._first - self._arrived,
            inter_token_s=self._inter_token_s(),
            prompt_tokens=self.prompt_tokens,
            cached_tokens=self.cached_tokens,
            completion_tokens=self.completion_tokens,
            cost_usd=cost_usd,
        )
        return (done,)

    def _inter_token_s(self) -> float | None:
        if self._first is None or self._last is None or self.completion_tokens < 2:
            return None
        return (self._last - self._first) / (self.completion_tokens - 1)


def outcome_of(error: BaseException) -> str:
    """Name the outcome of a request that ended with an exception.

    An exception's own `code` is used where it is a string; else the name of its type.
    """
    from asyncio import CancelledError  # not loaded for those who never fail and never wait

    if isinstance(error, CancelledError | GeneratorExit):
        return CANCELLED
    code = getattr(error, "code", None)
    return code if isinstance(code, str) and code else type(error).__name__
