"""Holding an answer back until the model has shown that it is sure of it.

The model's own probabilities for the first tokens decide; the model is never asked. An unsure
answer is dropped before the client has seen any of it, and the next model is tried.
"""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

import msgspec

from octomil.engines.base import Engine, EventStream, GenerationRequest, Usage
from octomil.errors import (
    ContextLengthError,
    EngineCrashedError,
    EngineError,
    EngineUnavailableError,
    GenerationError,
)
from octomil.http.sse import encode_event, event_data
from octomil.routing.confidence import SURE, WINDOW_TOKENS, probability_correct

_NONSENSE = (msgspec.DecodeError, AttributeError, KeyError, TypeError, UnicodeDecodeError)

_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode


class LowConfidenceError(EngineError):
    """The model was not sure of its answer; nothing of it has been sent."""


WALKED_ON = (
    *(EngineUnavailableError, EngineCrashedError, GenerationError),
    *(ContextLengthError, LowConfidenceError),
)
"""What makes a routed request go on to the next model of its chain."""


def confident(engine: Engine, request: GenerationRequest) -> EventStream:
    """Return the engine's stream, which raises `LowConfidenceError` before its first event."""
    chat = request.endpoint == "chat/completions"
    asked = bool(request.body.get("logprobs"))
    body = request.body if asked else {**request.body, "logprobs": True if chat else 1}
    stream = engine.stream(GenerationRequest(request.endpoint, body))
    return EventStream(_gated(stream, strip=not asked), stream.usage)


async def _gated(stream: EventStream, *, strip: bool) -> AsyncGenerator[bytes, None]:
    held: list[bytes] | None = []
    logprobs: list[float] = []
    async with aclosing(stream.events) as events:
        async for block in events:
            out = b"".join(_read(data, logprobs, strip=strip) for data in event_data(block))
            if held is None:
                yield out
                continue
            held.append(out)
            if len(logprobs) >= WINDOW_TOKENS:
                _require(logprobs, stream.usage)
                yield b"".join(held)
                held = None
    if held is not None:
        if logprobs:
            _require(logprobs, stream.usage)
        yield b"".join(held)


def _require(logprobs: list[float], usage: Usage) -> None:
    probability = probability_correct(logprobs)
    if probability < SURE:
        usage.completion_tokens = usage.completion_tokens or len(logprobs)
        raise LowConfidenceError(
            f"the answer is right with a probability of {probability:.2f}, below {SURE}"
        )


def _read(data: bytes, logprobs: list[float], *, strip: bool) -> bytes:
    """Note a chunk's log-probabilities, and take them out if the client did not ask."""
    try:
        event = _decode(data)
        for choice in event.get("choices") or ():
            found = choice.get("logprobs")
            if found:
                logprobs += _values(found)
                if strip:
                    choice["logprobs"] = None
    except _NONSENSE as error:
        raise GenerationError(f"the engine sent a senseless chunk: {error}") from error
    return encode_event(_encode(event) if strip else data)


def _values(found: dict[str, Any]) -> list[float]:
    if "content" in found:
        return [entry["logprob"] for entry in found["content"] or ()]
    return [value for value in found.get("token_logprobs") or () if value is not None]
