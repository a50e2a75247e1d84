"""Gathering a stream of chunks into the one answer it amounts to.

An engine that can only be interrupted while it streams is always asked to stream; this makes the
answer whole for a client that did not.
"""

from contextlib import aclosing
from typing import Any

import msgspec

from octomil.engines.base import Completion, Endpoint, EventStream
from octomil.engines.relay import usage_json
from octomil.errors import GenerationError
from octomil.http.sse import event_data

_NONSENSE = (msgspec.DecodeError, AttributeError, KeyError, TypeError, UnicodeDecodeError)
_SPOKEN = ("content", "reasoning_content", "refusal")
"""Fields of a message that arrive in pieces of text."""

_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode


async def gather(endpoint: Endpoint, stream: EventStream) -> Completion:
    """Read `stream` to its end and return the whole answer.

    Raises:
        GenerationError: the stream held no chunk at all, or one that makes no sense.
    """
    chat = endpoint == "chat/completions"
    head: dict[str, Any] = {}
    choices: dict[int, dict[str, Any]] = {}
    async with aclosing(stream.events) as events:
        async for block in events:
            for data in event_data(block):
                try:
                    chunk = _decode(data)
                    _take(choices, chunk, chat)
                except _NONSENSE as error:
                    raise GenerationError(f"the engine sent a senseless chunk: {error}") from error
                head = head or chunk
    if not head:
        raise GenerationError("the engine sent an empty answer")
    try:
        finished = [_finished(choice, chat) for _, choice in sorted(choices.items())]
    except _NONSENSE as error:
        raise GenerationError(f"the engine sent senseless chunks: {error}") from error
    kept = ("id", "created", "model", "system_fingerprint")
    answer: dict[str, Any] = {
        **{key: head[key] for key in kept if key in head},
        "object": "chat.completion" if chat else "text_completion",
        "choices": finished,
        "usage": usage_json(stream.usage),
    }
    return Completion(_encode(answer), stream.usage)


def _take(choices: dict[int, dict[str, Any]], chunk: dict[str, Any], chat: bool) -> None:
    for part in chunk.get("choices") or ():
        index = part.get("index", 0)
        choice = choices.setdefault(index, _new_choice(index, chat))
        _add(choice, part, chat)


def _new_choice(index: int, chat: bool) -> dict[str, Any]:
    choice: dict[str, Any] = {"index": index, "logprobs": None, "finish_reason": None}
    if chat:
        return {**choice, "message": {"role": "assistant", "content": []}}
    return {**choice, "text": []}


def _add(choice: dict[str, Any], part: dict[str, Any], chat: bool) -> None:
    choice["finish_reason"] = part.get("finish_reason") or choice["finish_reason"]
    if part.get("logprobs"):
        choice["logprobs"] = _joined(choice["logprobs"] or {}, part["logprobs"])
    if not chat:
        choice["text"].append(part.get("text") or "")
        return
    delta = part.get("delta") or {}
    message = choice["message"]
    for field in _SPOKEN:
        if delta.get(field):
            message.setdefault(field, []).append(delta[field])
    for call in delta.get("tool_calls") or ():
        _add_call(message.setdefault("tool_calls", {}), call)


def _add_call(calls: dict[int, dict[str, Any]], delta: dict[str, Any]) -> None:
    empty = {"id": None, "type": "function", "function": {"name": "", "arguments": ""}}
    call = calls.setdefault(delta.get("index", 0), empty)
    function = delta.get("function") or {}
    call["id"] = delta.get("id") or call["id"]
    call["function"]["name"] += function.get("name") or ""
    call["function"]["arguments"] += function.get("arguments") or ""


def _joined(before: dict[str, Any], more: dict[str, Any]) -> dict[str, Any]:
    """Append each list of `more` to the list of the same name."""
    joined = dict(before)
    for key, value in more.items():
        if isinstance(value, list):
            joined[key] = (joined.get(key) or []) + value
        elif value is not None or key not in joined:
            joined[key] = value
    return joined


def _finished(choice: dict[str, Any], chat: bool) -> dict[str, Any]:
    if not chat:
        return {**choice, "text": "".join(choice["text"])}
    message = choice["message"]
    for field in _SPOKEN:
        if field in message:
            message[field] = "".join(message[field])
    if "tool_calls" in message:
        message["tool_calls"] = [call for _, call in sorted(message["tool_calls"].items())]
        message["content"] = message["content"] or None
    return choice
