import json
import math
from collections.abc import AsyncGenerator
from typing import Any

import pytest

from octomil.engines.base import EventStream, GenerationRequest
from octomil.errors import GenerationError
from octomil.http.sse import encode_event, event_data
from octomil.routing.confidence import SURE as SURE_FROM
from octomil.routing.confidence import WINDOW_TOKENS
from octomil.serve.escalation import LowConfidenceError, confident

SURE, UNSURE = math.log(0.9), math.log(0.1)


class Engine:
    """Says one word per log-probability, and notes what it is asked and when it is stopped."""

    def __init__(self, *logprobs: float, silent: bool = False) -> None:
        self._logprobs = logprobs
        self._silent = silent
        self.asked: dict[str, Any] = {}
        self.told = 0
        self.closed = False

    def stream(self, request: GenerationRequest) -> EventStream:
        self.asked = request.body
        return EventStream(self._events(chat=request.endpoint == "chat/completions"))

    async def _events(self, *, chat: bool) -> AsyncGenerator[bytes, None]:
        try:
            for value in self._logprobs:
                self.told += 1
                yield encode_event(json.dumps(self._chunk(value, chat=chat)).encode())
            yield encode_event(b'{"choices": [{"index": 0, "delta": {}}]}')
            yield encode_event(b'{"choices": [], "usage": {}}')
        finally:
            self.closed = True

    def _chunk(self, value: float, *, chat: bool) -> dict[str, Any]:
        told: dict[str, Any] = {"token_logprobs": [value], "tokens": ["w"]}
        if chat:
            told = {"content": [{"token": "w", "logprob": value}]}
        said = {"delta": {"content": "w"}} if chat else {"text": "w"}
        return {"choices": [{"index": 0, **said, "logprobs": None if self._silent else told}]}


def request(endpoint: str = "chat/completions", **body: Any) -> GenerationRequest:
    return GenerationRequest(endpoint, {"stream": True, **body})


async def read(stream: EventStream) -> list[dict[str, Any]]:
    blocks = [block async for block in stream.events]
    return [json.loads(data) for data in event_data(b"".join(blocks))]


@pytest.mark.parametrize(("endpoint", "wish"), [("chat/completions", True), ("completions", 1)])
async def test_sure_answer_passes_as_if_nobody_had_looked(endpoint, wish):
    engine = Engine(*[SURE] * 3)

    events = await read(confident(engine, request(endpoint)))

    assert engine.asked["logprobs"] == wish
    assert len(events) == 5
    assert {choice.get("logprobs") for event in events for choice in event["choices"]} == {None}


async def test_log_probabilities_the_client_asked_for_are_left_to_it():
    engine = Engine(SURE)

    first, *_ = await read(confident(engine, request(logprobs=True)))

    assert first["choices"][0]["logprobs"]["content"][0]["logprob"] == SURE


@pytest.mark.parametrize("endpoint", ["chat/completions", "completions"])
async def test_unsure_answer_is_dropped_before_its_first_event(endpoint):
    engine = Engine(*[UNSURE] * 5)

    with pytest.raises(LowConfidenceError, match=rf"probability of 0\.\d+, below {SURE_FROM}"):
        await anext(confident(engine, request(endpoint)).events)

    assert engine.closed


async def test_decision_falls_after_the_window_and_stops_an_unsure_engine_there():
    engine = Engine(*[UNSURE] * 1000)

    with pytest.raises(LowConfidenceError):
        await read(confident(engine, request()))

    assert engine.told == WINDOW_TOKENS
    assert engine.closed


async def test_answer_streams_once_the_window_has_passed():
    engine = Engine(*[SURE] * WINDOW_TOKENS, *[UNSURE] * 100)
    stream = confident(engine, request())

    held = await anext(stream.events)
    one = await anext(stream.events)
    await stream.events.aclose()

    assert len(list(event_data(held))) == WINDOW_TOKENS
    assert len(list(event_data(one))) == 1
    assert engine.told == WINDOW_TOKENS + 1
    assert engine.closed


async def test_engine_that_tells_no_probabilities_is_believed():
    assert len(await read(confident(Engine(UNSURE, silent=True), request()))) == 3


async def test_answer_without_a_word_is_believed():
    assert len(await read(confident(Engine(), request()))) == 2


@pytest.mark.parametrize(
    "nonsense",
    [b"{", b"[]", b'{"choices": [5]}', b'{"choices": [{"logprobs": {"content": [{}]}}]}'],
)
async def test_chunk_that_makes_no_sense_is_the_engine_s_fault(nonsense):
    class Broken(Engine):
        async def _events(self, *, chat: bool) -> AsyncGenerator[bytes, None]:
            yield encode_event(nonsense)

    with pytest.raises(GenerationError, match="senseless chunk"):
        await read(confident(Broken(), request()))
