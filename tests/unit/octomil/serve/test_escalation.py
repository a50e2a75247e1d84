import json
import math
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

import pytest

from octomil.engines.base import EventStream, GenerationRequest
from octomil.errors import (
    ContextLengthError,
    EngineUnavailableError,
    GenerationError,
    InvalidRequestError,
)
from octomil.http.sse import encode_event, event_data
from octomil.routing.confidence import SURE as SURE_FROM
from octomil.routing.confidence import WINDOW_TOKENS
from octomil.serve.escalation import LowConfidenceError, confident

SURE, UNSURE = math.log(0.9), math.log(0.1)


class Engine:
    """Says one word per log-probability, and notes what it is asked and when it is stopped.

    Args:
        logprobs: of its words.
        silent: whether it keeps them to itself.
        field: of a chat's delta, which takes the words.
    """

    def __init__(self, *logprobs: float, silent: bool = False, field: str = "content") -> None:
        self._logprobs = logprobs
        self._silent = silent
        self._field = field
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
        said = {"delta": {self._field: "w"}} if chat else {"text": "w"}
        return {"choices": [{"index": 0, **said, "logprobs": None if self._silent else told}]}


def request(endpoint: str = "chat/completions", **body: Any) -> GenerationRequest:
    return GenerationRequest(endpoint, {"stream": True, **body})


def nothing(tells: bool) -> None:
    """Learn nothing from an answer."""


async def read(stream: EventStream) -> list[dict[str, Any]]:
    blocks = [block async for block in stream.events]
    return [json.loads(data) for data in event_data(b"".join(blocks))]


@pytest.mark.parametrize(("endpoint", "wish"), [("chat/completions", True), ("completions", 1)])
async def test_sure_answer_passes_as_if_nobody_had_looked(endpoint, wish):
    engine = Engine(*[SURE] * 3)

    events = await read(confident(engine, request(endpoint), nothing))

    assert engine.asked["logprobs"] == wish
    assert len(events) == 5
    assert {choice.get("logprobs") for event in events for choice in event["choices"]} == {None}


async def test_log_probabilities_the_client_asked_for_are_left_to_it():
    engine = Engine(SURE)

    first, *_ = await read(confident(engine, request(logprobs=True), nothing))

    assert first["choices"][0]["logprobs"]["content"][0]["logprob"] == SURE


@pytest.mark.parametrize("endpoint", ["chat/completions", "completions"])
async def test_unsure_answer_is_dropped_before_its_first_event(endpoint):
    engine = Engine(*[UNSURE] * 5)

    with pytest.raises(LowConfidenceError, match=rf"probability of 0\.\d+, below {SURE_FROM}"):
        await anext(confident(engine, request(endpoint), nothing).events)

    assert engine.closed


async def test_decision_falls_after_the_window_and_stops_an_unsure_engine_there():
    engine = Engine(*[UNSURE] * 1000)

    with pytest.raises(LowConfidenceError):
        await read(confident(engine, request(), nothing))

    assert engine.told == WINDOW_TOKENS
    assert engine.closed


async def test_answer_streams_once_the_window_has_passed():
    engine = Engine(*[SURE] * WINDOW_TOKENS, *[UNSURE] * 100)
    stream = confident(engine, request(), nothing)

    held = await anext(stream.events)
    one = await anext(stream.events)
    await stream.events.aclose()

    assert len(list(event_data(held))) == WINDOW_TOKENS
    assert len(list(event_data(one))) == 1
    assert engine.told == WINDOW_TOKENS + 1
    assert engine.closed


@pytest.mark.parametrize("endpoint", ["chat/completions", "completions"])
async def test_engine_that_tells_no_probabilities_is_believed_from_its_first_word(endpoint):
    engine, learned = Engine(*[UNSURE] * 100, silent=True), []
    stream = confident(engine, request(endpoint), learned.append)

    first = await anext(stream.events)

    assert (len(list(event_data(first))), engine.told, learned) == (1, 1, [False])
    assert len(await read(stream)) == 101


@pytest.mark.parametrize("field", ["reasoning_content", "tool_calls", "refusal"])
async def test_what_has_no_probabilities_is_not_held_back_for_ever(field):
    engine, learned = Engine(*[UNSURE] * 100, silent=True, field=field), []
    stream = confident(engine, request(), learned.append)

    held = await anext(stream.events)
    await stream.events.aclose()

    assert len(list(event_data(held))) == engine.told == WINDOW_TOKENS
    assert learned == []


async def test_probabilities_that_stop_coming_decide_by_what_there_was():
    class Stopping(Engine):
        def _chunk(self, value: float, *, chat: bool) -> dict[str, Any]:
            self._silent = self.told > 3
            return super()._chunk(value, chat=chat)

    sure, unsure = Stopping(*[SURE] * 100), Stopping(*[UNSURE] * 100)

    held = await anext(confident(sure, request(), nothing).events)
    with pytest.raises(LowConfidenceError):
        await read(confident(unsure, request(), nothing))

    assert len(list(event_data(held))) == sure.told == unsure.told == WINDOW_TOKENS


async def test_engine_that_tells_probabilities_is_known_to():
    learned: list[bool] = []

    await read(confident(Engine(*[SURE] * 20), request(), learned.append))

    assert learned == [True]


class Refusing(Engine):
    """Refuses what asks for log-probabilities."""

    def __init__(self, *logprobs: float, error: Exception, late: bool = False) -> None:
        super().__init__(*logprobs, silent=True)
        self._error = error
        self._late = late
        self.requests: list[dict[str, Any]] = []

    def stream(self, request: GenerationRequest) -> EventStream:
        self.requests.append(request.body)
        whole = super().stream(request)
        return EventStream(self._or_refuse(request, whole), whole.usage)

    async def _or_refuse(
        self, request: GenerationRequest, whole: EventStream
    ) -> AsyncGenerator[bytes, None]:
        async for block in whole.events:
            if "logprobs" in request.body and not self._late:
                raise self._error
            whole.usage.completion_tokens += 1
            yield block
            if "logprobs" in request.body:
                raise self._error


async def test_wish_that_the_engine_refuses_is_dropped():
    refusal = InvalidRequestError("This model does not support logprobs")
    engine, learned = Refusing(*[UNSURE] * 3, error=refusal), []
    stream = confident(engine, request(), learned.append)

    events = await read(stream)

    assert [body.get("logprobs") for body in engine.requests] == [True, None]
    assert (len(events), stream.usage.completion_tokens, learned) == (5, 5, [False])


async def test_tokens_of_a_repeated_answer_are_known_while_it_comes():
    engine = Refusing(*[UNSURE] * 3, error=InvalidRequestError("no"))
    stream = confident(engine, request(), nothing)

    async with aclosing(stream.events) as events:
        await anext(events)
        await anext(events)

    assert stream.usage.completion_tokens == 2


async def test_request_that_is_refused_without_the_wish_too_tells_nothing_about_the_engine():
    class Strict(Refusing):
        async def _or_refuse(
            self, request: GenerationRequest, whole: EventStream
        ) -> AsyncGenerator[bytes, None]:
            raise InvalidRequestError(f"asked {len(self.requests)} times")
            yield b""

    engine, learned = Strict(error=InvalidRequestError("")), []

    with pytest.raises(InvalidRequestError, match="asked 2 times"):
        await read(confident(engine, request(), learned.append))

    assert learned == []


@pytest.mark.parametrize(
    ("body", "error", "late"),
    [
        ({"logprobs": True}, InvalidRequestError("the client's own wish"), False),
        ({}, ContextLengthError("too long"), False),
        ({}, EngineUnavailableError("busy"), False),
        ({}, InvalidRequestError("after words were sent"), True),
    ],
)
async def test_other_refusals_are_not_for_the_wish(body, error, late):
    engine, learned = Refusing(*[UNSURE] * 3, error=error, late=late), []

    with pytest.raises(type(error), match=str(error)):
        await read(confident(engine, request(**body), learned.append))

    assert len(engine.requests) == 1


async def test_answer_without_a_word_is_believed():
    assert len(await read(confident(Engine(), request(), nothing))) == 2


@pytest.mark.parametrize(
    "nonsense",
    [b"{", b"[]", b'{"choices": [5]}', b'{"choices": [{"logprobs": {"content": [{}]}}]}'],
)
async def test_chunk_that_makes_no_sense_is_the_engine_s_fault(nonsense):
    class Broken(Engine):
        async def _events(self, *, chat: bool) -> AsyncGenerator[bytes, None]:
            yield encode_event(nonsense)

    with pytest.raises(GenerationError, match="senseless chunk"):
        await read(confident(Broken(), request(), nothing))
