"""Holding an answer back until the model has shown that it is sure of it.

The model's own probabilities for the first tokens decide; the model is never asked. An unsure
answer is dropped before the client has seen any of it, and the next model is tried.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Callable
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
    InvalidRequestError,
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


def confident(
    engine: Engine, request: GenerationRequest, learn: Callable[[bool], object]
) -> EventStream:
    """Return the engine's stream, which raises `LowConfidenceError` before its first event.

    An engine that tells no log-probabilities is believed: one that refuses the wish for them is
    asked again without, and of one that ignores it nothing is held back beyond the first word.

    Args:
        engine: whom to ask.
        request: what to ask.
        learn: called with whether the engine tells log-probabilities, once an answer shows it.
    """
    if request.body.get("logprobs"):
        stream = engine.stream(request)
        return EventStream(_checked(stream, learn), stream.usage)
    wish = True if request.endpoint == "chat/completions" else 1
    stream = engine.stream(GenerationRequest(request.endpoint, {**request.body, "logprobs": wish}))
    return EventStream(_checked(stream, learn, lambda: engine.stream(request)), stream.usage)


async def _checked(
    stream: EventStream,
    learn: Callable[[bool], object],
    ask_plainly: Callable[[], EventStream] | None = None,
) -> AsyncGenerator[bytes, None]:
    """Hold the stream back until it may be believed, then pass it on.

    Args:
        stream: with log-probabilities, if the engine has any.
        learn: as in `confident`.
        ask_plainly: asks without the wish for them; None where the wish is the client's own.
    """
    window = _Window(strip=ask_plainly is not None)
    plain: EventStream | None = None
    async with aclosing(stream.events) as events:
        try:
            await window.fill(events)
        except ContextLengthError:
            raise
        except InvalidRequestError:
            if ask_plainly is None or window.has_begun:
                raise
            plain = ask_plainly()
        else:
            if window.tells is not None:
                learn(window.tells)
            yield window.release(stream.usage)
            async for block in events:
                yield window.passed(block)
    if plain is not None:
        async with aclosing(plain.events) as events:
            async for block in events:
                stream.usage.become(plain.usage)
                yield block
        stream.usage.become(plain.usage)
        learn(False)  # only an answer shows that the wish was what the engine refused


class _Window:
    """The beginning of an answer, held back until its log-probabilities suffice or fail to come.

    Args:
        strip: whether to take the log-probabilities out, because the client did not ask for them.
    """

    def __init__(self, *, strip: bool) -> None:
        self._strip = strip
        self._held: list[bytes] = []
        self._logprobs: list[float] = []
        self._pieces = 0
        self._is_silent = False

    @property
    def has_begun(self) -> bool:
        """Whether anything has come."""
        return bool(self._held)

    @property
    def tells(self) -> bool | None:
        """Whether the engine tells log-probabilities; None where the answer does not show it."""
        return False if self._is_silent else True if self._logprobs else None

    async def fill(self, events: AsyncIterator[bytes]) -> None:
        """Take blocks in until it is known whether they may be believed, or there are no more."""
        async for block in events:
            self._held.append(b"".join(self._take(data) for data in event_data(block)))
            if self._is_silent or max(len(self._logprobs), self._pieces) >= WINDOW_TOKENS:
                return

    def release(self, usage: Usage) -> bytes:
        """Return what was held back.

        Raises:
            LowConfidenceError: the model was not sure of it.
        """
        if self._logprobs:
            _require(self._logprobs, usage)
        return b"".join(self._held)

    def passed(self, block: bytes) -> bytes:
        """Return a later block as the client gets it."""
        if not self._strip or self._is_silent:
            return block
        return b"".join(_without_logprobs(_read(data)) for data in event_data(block))

    def _take(self, data: bytes) -> bytes:
        event = _read(data)
        try:
            for choice in event.get("choices") or ():
                self._note(choice)
        except _NONSENSE as error:
            raise _senseless(error) from error
        return _without_logprobs(event) if self._strip else encode_event(data)

    def _note(self, choice: dict[str, Any]) -> None:
        told = choice.get("logprobs")
        delta = choice.get("delta") or {}
        words = choice.get("text") or delta.get("content")
        self._pieces += bool(words or any(delta[name] for name in delta.keys() - {"role"}))
        if told:
            self._logprobs += _values(told)
        elif words and not self._logprobs:
            self._is_silent = True


def _require(logprobs: list[float], usage: Usage) -> None:
    probability = probability_correct(logprobs)
    if probability < SURE:
        usage.completion_tokens = usage.completion_tokens or len(logprobs)
        raise LowConfidenceError(
            f"the answer is right with a probability of {probability:.2f}, below {SURE}"
        )


def _read(data: bytes) -> dict[str, Any]:
    try:
        event: dict[str, Any] = _decode(data)
    except _NONSENSE as error:
        raise _senseless(error) from error
    return event


def _without_logprobs(event: dict[str, Any]) -> bytes:
    try:
        for choice in event.get("choices") or ():
            if choice.get("logprobs"):
                choice["logprobs"] = None
    except _NONSENSE as error:
        raise _senseless(error) from error
    return encode_event(_encode(event))


def _senseless(error: Exception) -> GenerationError:
    return GenerationError(f"the engine sent a senseless chunk: {error}")


def _values(found: dict[str, Any]) -> list[float]:
    if "content" in found:
        return [entry["logprob"] for entry in found["content"] or ()]
    return [value for value in found.get("token_logprobs") or () if value is not None]
