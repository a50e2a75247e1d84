"""Gathering a stream of chunks into the one answer it amounts to.

An engine that can only be interrupted while it streams is always asked to stream; this makes the
answer whole for a client that did not, with every field that the engine would have sent.
"""

from contextlib import aclosing
from time import perf_counter
from typing import Any

import msgspec

from octomil.engines.base import Completion, Endpoint, EventStream, Timing
from octomil.engines.deltas import add, settled
from octomil.engines.relay import usage_json
from octomil.errors import GenerationError
from octomil.http.sse import event_data

_NONSENSE = (
    *(msgspec.DecodeError, UnicodeDecodeError, RecursionError),
    *(AttributeError, KeyError, TypeError),
)
_OF_CHUNKS = frozenset({"object", "choices", "usage", "obfuscation"})
"""Fields of a chunk that are not the answer's, or are put together for it."""
_PLACED = frozenset({"index", "delta", "text"})
"""Fields of a chunk's choice that become its message or text, or tell where it belongs."""
_INSTEAD_OF_WORDS = frozenset({"tool_calls", "function_call", "refusal", "audio"})

_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode


async def gather(
    endpoint: Endpoint, stream: EventStream, timing: Timing | None = None
) -> Completion:
    """Read `stream` to its end and return the whole answer.

    Args:
        endpoint: which of OpenAI's two shapes the answer has.
        stream: the answer as it is made.
        timing: where to note when its tokens come.

    Raises:
        GenerationError: the stream held no chunk at all, or one that makes no sense.
    """
    answer = _Answer(chat=endpoint == "chat/completions")
    timing = Timing() if timing is None else timing
    async with aclosing(stream.events) as events:
        async for block in events:
            timing.last_at = perf_counter()
            if timing.first_at is None:
                timing.begin(timing.last_at, tokens=stream.usage.completion_tokens)
            for data in event_data(block):
                try:
                    answer.take(_decode(data))
                except _NONSENSE as error:
                    raise GenerationError(f"the engine sent a senseless chunk: {error}") from error
    try:
        body = _encode(answer.whole() | {"usage": usage_json(stream.usage)})
    except _NONSENSE as error:
        raise GenerationError(f"the engine sent senseless chunks: {error}") from error
    return Completion(body, stream.usage)


class _Answer:
    """An answer while its chunks arrive."""

    def __init__(self, *, chat: bool) -> None:
        self._chat = chat
        self._head: dict[str, Any] = {}
        self._choices: dict[int, _Choice] = {}

    def take(self, chunk: dict[str, Any]) -> None:
        """Take in one chunk; it raises one of `_NONSENSE` if it is none."""
        for name, value in chunk.items():
            if value is not None and name not in _OF_CHUNKS:
                self._head[name] = value
        for part in chunk.get("choices") or ():
            index = part.get("index", 0)
            if index not in self._choices:
                self._choices[index] = _Choice(chat=self._chat)
            self._choices[index].take(part)

    def whole(self) -> dict[str, Any]:
        """Return the answer, but for its usage.

        Raises:
            GenerationError: there is none.
        """
        if not (self._head or self._choices):
            raise GenerationError("the engine sent an empty answer")
        choices = sorted(self._choices.items())
        return {
            **self._head,
            "object": "chat.completion" if self._chat else "text_completion",
            "choices": [choice.whole(index) for index, choice in choices],
        }


class _Choice:
    """One of the answers to a prompt while its chunks arrive."""

    def __init__(self, *, chat: bool) -> None:
        self._chat = chat
        self._said: dict[str, Any] = {}
        self._beside: dict[str, Any] = {"logprobs": None, "finish_reason": None}

    def take(self, part: dict[str, Any]) -> None:
        add(self._said, part.get("delta") or {} if self._chat else {"text": part.get("text")})
        _join(self._beside, {name: part[name] for name in part.keys() - _PLACED})

    def whole(self, index: int) -> dict[str, Any]:
        said = settled(self._said)
        told = {"message": _message(said)} if self._chat else {"text": _text(said["text"]) or ""}
        return {"index": index, **told, **self._beside}


def _message(said: dict[str, Any]) -> dict[str, Any]:
    """Return the message in the form of a whole answer.

    Raises:
        TypeError: its content is no text, or a tool call no object.
    """
    message = {"role": "assistant", "content": None, **said}
    if not _text(message["content"]):
        wordless = any(message.get(name) for name in _INSTEAD_OF_WORDS)
        message["content"] = None if wordless else ""
    if message.get("tool_calls"):
        message["tool_calls"] = [_call(call) for call in message["tool_calls"]]
    return message


def _call(told: dict[str, Any]) -> dict[str, Any]:
    """Return a tool call without its number in the stream, with what that may have left out."""
    call = {"id": None, "type": "function", **told}
    call.pop("index", None)
    if call["type"] == "function":
        call["function"] = {"name": "", "arguments": "", **(call.get("function") or {})}
    return call


def _text(value: Any) -> str | None:
    if not isinstance(value, str | None):
        raise TypeError(f"{value!r} is no text")
    return value


def _join(into: dict[str, Any], more: dict[str, Any]) -> None:
    """Append each list to the list of the same name, with the same for the lists of an object.

    Of anything else the last value stands; null never overwrites.
    """
    for name, value in more.items():
        held = into.get(name)
        if isinstance(value, list) and isinstance(held, list):
            held += value
        elif isinstance(value, dict) and isinstance(held, dict):
            _join(held, value)
        elif value is not None or name not in into:
            into[name] = value
