"""Streams are passed on as they are, however they end, and what is told of them is true."""

import asyncio
import gc
import json
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest

from octomil.errors import ConfigurationError
from octomil.inference import StreamingInferenceClient
from octomil.inference.event_reporter import EventReporter
from support.manual_clock import ManualClock
from support.waiting import PATIENCE_S


@dataclass(frozen=True)
class Token:
    """A chunk that says whether it is the last."""

    token: str
    done: bool = False


class Told:
    """A client whose events end here, and the clock that it measures by."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self._events: list[Any] = []
        self.client = StreamingInferenceClient(
            device_id="box-1", device_class="server", api_key="edg_x", org_id="acme",
            api_base="http://127.0.0.1:1", clock_s=self.clock,
            reporter=lambda _: EventReporter(self._take, linger_s=0.0),
        )  # fmt: skip

    def _take(self, events: Sequence[bytes]) -> None:
        self._events.extend(map(json.loads, events))

    def paced(self, *chunks: Any, gap_s: float = 0.005) -> Iterator[Any]:
        for chunk in chunks:
            self.clock.advance(gap_s)
            yield chunk

    async def paced_async(self, *chunks: Any) -> AsyncIterator[Any]:
        for chunk in self.paced(*chunks):
            yield chunk

    @property
    def events(self) -> list[Any]:
        assert self.client.flush(PATIENCE_S)
        return self._events

    @property
    def types(self) -> list[str]:
        return [event["event_type"].removeprefix("generation_") for event in self.events]


@pytest.fixture
def told() -> Iterator[Told]:
    made = Told()
    yield made
    made.client.close(PATIENCE_S)


def test_chunks_are_passed_on_as_they_are_and_measured(told: Told):
    chunks = ["a", b"b", 3, None, {"a": 1}]

    stream = told.client.generate("phi", told.paced(*chunks), version="1.0.0")
    assert stream.result is None
    assert list(stream) == chunks

    result = stream.result
    assert result is told.client.last_result
    assert (result.total_chunks, result.session_id) == (5, stream.session_id)
    assert result.ttfc_ms == pytest.approx(5)
    assert result.avg_chunk_latency_ms == pytest.approx(5)
    assert result.total_duration_ms == pytest.approx(25)
    assert result.throughput == pytest.approx(200)


def test_what_is_told_has_every_documented_field(told: Told):
    list(told.client.generate("phi", told.paced("a", "b"), version="1.0.0"))

    started, completed = told.events
    common = {
        "device_id": "box-1", "device_class": "server", "org_id": "acme", "model_id": "phi",
        "version": "1.0.0", "modality": "text", "session_id": told.client.last_result.session_id,
    }  # fmt: skip
    assert started.pop("timestamp_ms") <= completed.pop("timestamp_ms")
    assert started == common | {"event_type": "generation_started"}
    assert completed.pop("metrics") == {
        "ttfc_ms": pytest.approx(5), "avg_chunk_latency_ms": pytest.approx(5),
        "total_chunks": 2, "total_duration_ms": pytest.approx(10),
        "throughput": pytest.approx(200),
    }  # fmt: skip
    assert completed == common | {"event_type": "generation_completed"}


def test_time_runs_from_the_first_demand(told: Told):
    stream = told.client.generate("phi", partial(told.paced, "a"))
    told.clock.advance(60)

    assert told.types == []
    assert list(stream) == ["a"]
    assert stream.result.ttfc_ms == pytest.approx(5)


def test_a_chunk_that_only_says_that_it_is_the_last_is_not_counted(told: Told):
    list(told.client.generate("phi", told.paced(Token("a"), Token("b"), Token("", done=True))))
    assert told.client.last_result.total_chunks == 2

    list(told.client.generate("phi", told.paced(Token("a"), Token("b", done=True))))
    assert told.client.last_result.total_chunks == 2


def test_an_error_passes_unchanged_and_is_told(told: Told):
    class EngineError(Exception):
        pass

    error = EngineError("out of memory")

    def broken() -> Iterator[str]:
        yield from told.paced("a")
        raise error

    stream = told.client.generate("phi", broken())
    assert next(stream) == "a"
    with pytest.raises(EngineError) as raised:
        next(stream)

    assert raised.value is error
    assert told.types == ["started", "failed"]
    assert stream.result.total_chunks == 1
    assert list(stream) == []


def test_a_source_that_cannot_begin_is_a_failure(told: Told):
    def refuse() -> Iterator[str]:
        raise ValueError("no such model")

    with pytest.raises(ValueError, match="no such model"):
        next(told.client.generate("phi", refuse))
    assert told.types == ["started", "failed"]


def test_an_abandoned_stream_stops_its_source_and_is_told_as_cancelled(told: Told):
    source = told.paced("a", "b", "c")
    stream = told.client.generate("phi", source)
    next(stream)
    stream.close()

    assert told.types == ["started", "cancelled"]
    assert list(source) == []
    assert list(stream) == []

    for _ in told.client.generate("phi", told.paced("a", "b")):
        break
    gc.collect()
    assert told.types[2:] == ["started", "cancelled"]


def test_who_stops_at_the_last_token_has_the_whole_answer(told: Told):
    for token in told.client.generate("phi", told.paced(Token("a"), Token("", done=True), "x")):
        if token.done:
            break
    gc.collect()

    assert told.types == ["started", "completed"]


def test_async_streams_are_measured_alike(told: Told):
    async def begin() -> AsyncIterator[str]:
        return told.paced_async("a", "b")

    async def read() -> None:
        sources = (told.paced_async("a", "b"), partial(told.paced_async, "a", "b"), begin)
        for source in sources:
            stream = told.client.generate_async("phi", source)
            assert [chunk async for chunk in stream] == ["a", "b"]
            assert stream.result.avg_chunk_latency_ms == pytest.approx(5)
            assert stream.result.session_id == stream.session_id

    asyncio.run(read())
    assert told.types == ["started", "completed"] * 3


def test_an_async_stream_is_cancelled_with_its_task_or_when_it_is_closed(told: Told):
    closed = []

    async def endless() -> AsyncIterator[str]:
        try:
            yield "a"
            await asyncio.Event().wait()
        finally:
            closed.append(True)

    async def read() -> None:
        stream = told.client.generate_async("phi", endless())
        assert await anext(stream) == "a"
        await stream.aclose()

        waiting = told.client.generate_async("phi", endless())
        assert await anext(waiting) == "a"
        task = asyncio.ensure_future(anext(waiting))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(read())
    assert told.types == ["started", "cancelled"] * 2
    assert closed == [True, True]


def test_streams_of_one_client_may_go_on_at_once(told: Told):
    first, second = (told.client.generate("phi", told.paced("a", "b")) for _ in range(2))
    assert [next(first), next(second), *first, *second] == ["a", "a", "b", "b"]

    assert first.session_id != second.session_id
    assert told.types == ["started", "started", "completed", "completed"]
    assert second.result.ttfc_ms == pytest.approx(5)


@pytest.mark.parametrize(
    ("given", "hint"),
    [("sever", "did you mean 'server'?"), ("laptop", "flagship, high, mid, low, server")],
)
def test_a_class_of_devices_that_there_is_not_is_refused_at_once(given: str, hint: str):
    with pytest.raises(ConfigurationError, match="device_class=") as refused:
        StreamingInferenceClient(api_key="edg_x", device_class=given)

    assert hint in str(refused.value)
