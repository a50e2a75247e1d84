"""Streams of chunks, passed on as they are, measured, and told of to the control plane."""

import time
import weakref
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Awaitable,
    Callable,
    Generator,
    Iterable,
    Iterator,
    Sequence,
)
from datetime import UTC, datetime
from difflib import get_close_matches
from functools import partial
from inspect import isawaitable
from types import TracebackType
from typing import Generic, Self, TypeVar, get_args
from uuid import uuid4

from octomil.errors import ConfigurationError
from octomil.http.api import ApiClient
from octomil.http.connection import connect
from octomil.http.deadline import Deadline
from octomil.http.exchange import Request
from octomil.inference.event_reporter import Event, EventReporter, ReportCounts, Send
from octomil.inference.stream_meter import StreamingInferenceResult, StreamMeter
from octomil.wire.inference_events import ClassName

ChunkT = TypeVar("ChunkT")
Source = Iterable[ChunkT] | Callable[[], Iterable[ChunkT]]
AsyncSource = (
    AsyncIterable[ChunkT] | Callable[[], AsyncIterable[ChunkT] | Awaitable[AsyncIterable[ChunkT]]]
)

EVENTS_PATH = "/inference/events"

_SEND_TIMEOUT_S = 10.0
_MEASURED = (
    "ttfc_ms",
    "avg_chunk_latency_ms",
    "total_chunks",
    "total_duration_ms",
    "throughput",
)


def _utc_now() -> datetime:
    return datetime.now(UTC)


class StreamingInferenceClient:
    """Measures streams of chunks, and reports how they went to the control plane.

    It generates nothing itself: chunks come from where the caller says, and are passed on as they
    are. Reports go out on a thread of their own; neither a slow control plane nor one that is away
    or refuses them holds up or breaks off a generation. Several threads and tasks may use one
    client. One that is dropped without being closed has what waits sent once, and leaves nothing.

    Args:
        device_id: what the control plane calls this device, if it knows it.
        device_class: `flagship`, `high`, `mid`, `low` or `server`; else what the device's profile
            says.
        api_key: else `OCTOMIL_API_KEY`.
        org_id: else `OCTOMIL_ORG_ID`, else `default`.
        api_base: else `OCTOMIL_API_BASE`, else `http://127.0.0.1:8000/api/v1`.
        clock_s: a clock that never goes back, in seconds.
        now: tells the time of events.
        reporter: made of a function that sends events.

    Attributes:
        last_result: what was measured of the generation that ended last; None before the first.

    Raises:
        ConfigurationError: there is no key, the address is none, or no class of devices is called
            that. Nobody is asked yet.

    Example:
        ```
        with StreamingInferenceClient() as client:
            for chunk in client.generate("phi-4-mini", engine.stream(prompt), version="1.0.0"):
                print(chunk, end="")
            print(client.last_result.ttfc_ms)
        ```
    """

    def __init__(
        self,
        *,
        device_id: str | None = None,
        device_class: str | None = None,
        api_key: str | None = None,
        org_id: str | None = None,
        api_base: str | None = None,
        clock_s: Callable[[], float] = time.perf_counter,
        now: Callable[[], datetime] = _utc_now,
        reporter: Callable[[Send], EventReporter] = EventReporter,
    ) -> None:
        _check_class(device_class)
        self._api, organisation = connect(api_key, api_base, org_id)
        given = {"device_id": device_id, "device_class": device_class, "org_id": organisation}
        self._common = {name: value for name, value in given.items() if value is not None}
        self._clock_s = clock_s
        self._now = now
        self._reporter = reporter(partial(_send, self._api))
        # Neither the reporter nor what it sends by knows this client, so that it can be collected.
        self._dropped = weakref.finalize(self, self._reporter.retire)
        self._dropped.atexit = False  # when Python ends, the reporter sees to itself
        self.last_result: StreamingInferenceResult | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def generate(
        self,
        model_id: str,
        source: Source[ChunkT],
        *,
        version: str = "latest",
        modality: str = "text",
    ) -> "MeasuredStream[ChunkT]":
        """Return the chunks of a generation, one by one as they come.

        Time runs from when the first is asked for. What the source raises passes unchanged.

        Args:
            model_id: what the model is called.
            source: the chunks; or what begins to generate them when it is called, without
                arguments, as `functools.partial(engine.stream, prompt)`.
            version: of the model.
            modality: such as `text`.
        """
        return MeasuredStream(self._session(model_id, version, modality), source)

    def generate_async(
        self,
        model_id: str,
        source: AsyncSource[ChunkT],
        *,
        version: str = "latest",
        modality: str = "text",
    ) -> "AsyncMeasuredStream[ChunkT]":
        """Return the same for `async for`; what is called may be a coroutine function, too."""
        return AsyncMeasuredStream(self._session(model_id, version, modality), source)

    @property
    def reports(self) -> ReportCounts:
        """What became of the events so far."""
        return self._reporter.counts

    def flush(self, timeout_s: float = 5.0) -> bool:
        """Wait until all events were sent; return False if that takes longer."""
        return self._reporter.flush(timeout_s)

    def close(self, timeout_s: float = 5.0) -> bool:
        """Send what waits, within a time, and close every connection; twice is harmless.

        Returns:
            Whether no event had to be dropped here.
        """
        self._dropped.detach()
        is_done = self._reporter.close(timeout_s)
        self._api.close()
        return is_done

    def _session(self, model_id: str, version: str, modality: str) -> "_Session":
        subject = {"model_id": model_id, "version": version, "modality": modality}
        return _Session(modality, self._clock_s, partial(self._report, subject), self._ended)

    def _report(self, subject: Event, what: Event) -> None:
        at_ms = int(self._now().timestamp() * 1e3)
        self._reporter.put({**self._common, **subject, **what, "timestamp_ms": at_ms})

    def _ended(self, result: StreamingInferenceResult) -> None:
        self.last_result = result


def _check_class(name: str | None) -> None:
    known = get_args(ClassName)
    if name is None or name in known:
        return
    near = get_close_matches(str(name), known, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else f"; there are {', '.join(known)}"
    raise ConfigurationError(f"device_class={name!r} is no class of devices{hint}")


def _send(api: ApiClient, events: Sequence[bytes]) -> None:
    api.send(
        Request(
            method="POST",
            path=EVENTS_PATH,
            headers={"Content-Type": "application/json"},
            options={"content": b'{"events":[' + b",".join(events) + b"]}"},
            deadline=Deadline(_SEND_TIMEOUT_S),
            is_repeatable=False,  # the reporter tries again, and can be stopped meanwhile
        )
    )


class MeasuredStream(Iterator[ChunkT], Generic[ChunkT]):
    """The chunks of one generation.

    One that is closed, or dropped, before its end is reported as cancelled, and its source closed.
    """

    def __init__(self, session: "_Session", source: Source[ChunkT]) -> None:
        self._session = session
        self._chunks = _measured(session, source)

    @property
    def session_id(self) -> str:
        """The generation's name, in the events that are reported of it."""
        return self._session.id

    @property
    def result(self) -> StreamingInferenceResult | None:
        """What was measured; None before the end."""
        return self._session.result

    def __next__(self) -> ChunkT:
        return next(self._chunks)

    def close(self) -> None:
        """Stop the generation; harmless after its end."""
        self._chunks.close()


class AsyncMeasuredStream(AsyncIterator[ChunkT], Generic[ChunkT]):
    """The same for `async for`."""

    def __init__(self, session: "_Session", source: AsyncSource[ChunkT]) -> None:
        self._session = session
        self._chunks = _measured_async(session, source)

    @property
    def session_id(self) -> str:
        """The generation's name, in the events that are reported of it."""
        return self._session.id

    @property
    def result(self) -> StreamingInferenceResult | None:
        """What was measured; None before the end."""
        return self._session.result

    async def __anext__(self) -> ChunkT:
        return await anext(self._chunks)

    async def aclose(self) -> None:
        """Stop the generation; harmless after its end."""
        await self._chunks.aclose()


class _Session:
    """One generation, from the first demand to its end, however that comes."""

    def __init__(
        self,
        modality: str,
        clock_s: Callable[[], float],
        report: Callable[[Event], None],
        ended: Callable[[StreamingInferenceResult], None],
    ) -> None:
        self.id = uuid4().hex
        self.result: StreamingInferenceResult | None = None
        self._modality = modality
        self._clock_s = clock_s
        self._report = report
        self._ended = ended
        self._has_last = False

    def __enter__(self) -> Self:
        self._report({"session_id": self.id, "event_type": "generation_started"})
        self._meter = StreamMeter(self._clock_s)
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        result = self.result = self._meter.result(self.id, self._modality)
        self._ended(result)
        self._report(
            {
                "session_id": self.id,
                "event_type": f"generation_{self._outcome(exc_type)}",
                "metrics": {name: getattr(result, name) for name in _MEASURED},
            }
        )

    def arrived(self, chunk: object) -> None:
        """Note a chunk; one that only says that it was the last is none."""
        is_last = getattr(chunk, "done", False) is True
        self._has_last = self._has_last or is_last
        if not is_last or getattr(chunk, "token", True):
            self._meter.arrived()

    def _outcome(self, error: type[BaseException] | None) -> str:
        """Say how it ended; what is no `Exception` is the reader's wish, not the model's fault."""
        if error is None or (self._has_last and not issubclass(error, Exception)):
            return "completed"
        return "failed" if issubclass(error, Exception) else "cancelled"


def _measured(session: _Session, source: Source[ChunkT]) -> Generator[ChunkT, None, None]:
    with session:
        chunks = iter(source() if callable(source) else source)
        try:
            for chunk in chunks:
                session.arrived(chunk)
                yield chunk
        finally:
            if callable(close := getattr(chunks, "close", None)):
                close()


async def _measured_async(
    session: _Session, source: AsyncSource[ChunkT]
) -> AsyncGenerator[ChunkT, None]:
    with session:
        begun = source() if callable(source) else source
        chunks = aiter(await begun if isawaitable(begun) else begun)
        try:
            async for chunk in chunks:
                session.arrived(chunk)
                yield chunk
        finally:
            if callable(aclose := getattr(chunks, "aclose", None)):
                await aclose()
