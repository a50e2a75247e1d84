"""What is known about the request at hand, wherever in the process its work is done."""

import os
import re
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar, copy_context
from dataclasses import dataclass, field
from typing import ParamSpec, Self, TypeVar

from epochly.inference.context.trace import TraceContext

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")

Clock = Callable[[], float]
"""Monotonic seconds."""

REQUEST_ID_HEADER = "x-request-id"

_CURRENT: ContextVar["RequestContext | None"] = ContextVar("epochly_request", default=None)
_REQUEST_ID = re.compile(r"[!-~]{1,128}")
# Held for a few additions only; a lock per request would keep requests from being copied.
_COUNTING = threading.Lock()


def new_request_id() -> str:
    """Return an id that no other request has: 128 random bits in hexadecimal."""
    return os.urandom(16).hex()


@dataclass(slots=True)
class RequestContext:
    """One request, shared by every thread and task that works on it.

    Attributes:
        request_id: names the request in logs and answers.
        endpoint: what was called, such as `"/v1/chat/completions"`.
        enqueue_time: when it arrived, in monotonic seconds (`time.monotonic`).
        model_calls: how many times it has called a model.
        timings: milliseconds spent, by stage.
        trace_id: the distributed trace it belongs to, 32 hexadecimal digits; None without one.
        span_id: its own position in that trace, 16 hexadecimal digits; None without one.
        trace_flags: the trace's flags.
        trace_state: what other tracing systems pass along with it.
    """

    request_id: str = field(default_factory=new_request_id)
    endpoint: str = ""
    enqueue_time: float = field(default_factory=time.monotonic)
    model_calls: int = 0
    timings: dict[str, float] = field(default_factory=dict)
    trace_id: str | None = None
    span_id: str | None = None
    trace_flags: int = 0
    trace_state: str = ""

    @classmethod
    def from_headers(
        cls,
        headers: Mapping[str, str] | Iterable[tuple[str, str]],
        *,
        endpoint: str = "",
        clock: Clock = time.monotonic,
    ) -> Self:
        """Describe a request that has just arrived.

        The caller's `x-request-id` is kept if it is 1 to 128 printable ASCII characters without
        spaces. Its trace is continued if `traceparent` is valid; otherwise one starts here.

        Example:
            >>> RequestContext.from_headers({"X-Request-Id": "r-1"}, endpoint="/v1/models").endpoint
            '/v1/models'
        """
        pairs = list(headers.items() if isinstance(headers, Mapping) else headers)
        sent = next((value for name, value in pairs if name.lower() == REQUEST_ID_HEADER), "")
        caller = TraceContext.from_headers(pairs)
        return cls.at(
            caller.child() if caller else TraceContext.start(),
            request_id=sent if _REQUEST_ID.fullmatch(sent) else new_request_id(),
            endpoint=endpoint,
            clock=clock,
        )

    @classmethod
    def at(
        cls,
        trace: TraceContext,
        *,
        request_id: str,
        endpoint: str = "",
        clock: Clock = time.monotonic,
    ) -> Self:
        """Describe a request that has just arrived, by its position in its trace."""
        return cls(
            request_id=request_id,
            endpoint=endpoint,
            enqueue_time=clock(),
            trace_id=trace.trace_id,
            span_id=trace.span_id,
            trace_flags=trace.flags,
            trace_state=trace.state,
        )

    @property
    def trace(self) -> TraceContext | None:
        """The request's position in its trace; None without one, or if the ids are not valid."""
        parent = f"00-{self.trace_id}-{self.span_id}-{self.trace_flags:02x}"
        return TraceContext.parse(parent, self.trace_state)

    def headers(self) -> dict[str, str]:
        """Return the headers that carry this request on to whoever is called next."""
        headers, trace = {REQUEST_ID_HEADER: self.request_id}, self.trace
        return headers | trace.headers() if trace else headers

    def count_model_call(self) -> None:
        """Note that the request calls a model; any thread may do so."""
        with _COUNTING:
            self.model_calls += 1

    def add_time(self, stage: str, elapsed_ms: float) -> None:
        """Add to the milliseconds of a stage; any thread may do so."""
        with _COUNTING:
            self.timings[stage] = self.timings.get(stage, 0.0) + elapsed_ms

    @contextmanager
    def timed(self, stage: str, *, clock: Clock = time.perf_counter) -> Iterator[None]:
        """Add the time a `with` block takes to a stage, however the block ends."""
        started_s = clock()
        try:
            yield
        finally:
            self.add_time(stage, (clock() - started_s) * 1000)


def current_request() -> RequestContext | None:
    """Return the request this thread or task works on; None outside of any."""
    return _CURRENT.get()


@contextmanager
def bound(request: RequestContext) -> Iterator[RequestContext]:
    """Make a request the current one within a `with` block.

    Whatever asyncio starts in the block inherits it: tasks, callbacks, `asyncio.to_thread`. Threads
    and executors do not, `loop.run_in_executor` included: hand them `carrying(work)`.

    Example:
        >>> with bound(RequestContext(request_id="r-1")):
        ...     current_request().request_id
        'r-1'
    """
    token = _CURRENT.set(request)
    try:
        yield request
    finally:
        _CURRENT.reset(token)


def carrying(work: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
    """Return `work` bound to the current context, to be run in another thread.

    It may be run many times, also at once: `executor.submit(carrying(work), argument)`,
    `executor.map(carrying(work), items)`, `loop.run_in_executor(None, carrying(work))`.
    """
    snapshot = copy_context()

    def run(*args: Parameters.args, **kwargs: Parameters.kwargs) -> Result:
        # A context can be entered by one thread at a time; a copy costs O(1).
        return snapshot.copy().run(work, *args, **kwargs)

    return run
