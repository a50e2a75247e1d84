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

_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode


async def gather(endpoint: Endpoint, stream: EventStream) -> Completion:
    """Read `stream` to its end and return the whole answer.

    Raises:
        GenerationError: the stream held no chunk at all.
    """
    chat = endpoint == "chat/completions"
    head: dict[str, Any] = {}
    choices: dict[int, dict[str, Any]] = {}
    async with aclosing(stream.events) as events:
        async for block in events:
            for data in event_data(block):
                chunk = _decode(data)
                head = head or chunk
                for part in chunk.get("choices", ()):
                    choice = choices.setdefault(part["index"], _new_choice(part["index"], chat))
                    _add(choice, part, chat)
    if not head:
        raise GenerationError("the engine sent an empty answer")
    for choice in choices.values():
        _finish(choice, chat)
    kept = ("id", "created", "model", "system_fingerprint")
    answer: dict[str, Any] = {
        **{key: head[key] for key in kept if key in head},
        "object": "chat.completion" if chat else "text_completion",
        "choices": [choices[index] for index in sorted(choices)],
        "usage": usage_json(stream.usage),
    }
    return Completion(_encode(answer), stream.usage)


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
    if delta.get("content"):
        message["content"].append(delta["content"])
    if delta.get("reasoning_content"):
        message.setdefault("reasoning_content", []).append(delta["reasoning_content"])
    for call in delta.get("tool_calls") or ():
        _add_call(message.setdefault("tool_calls", []), call)


def _add_call(calls: list[dict[str, Any]], delta: dict[str, Any]) -> None:
    index = delta.get("index", 0)
    while len(calls) <= index:
        calls.append({"id": None, "type": "function", "function": {"name": "", "arguments": ""}})
    call, function = calls[index], delta.get("function") or {}
    call["id"] = delta.get("id") or call["id"]
    call["function"]["name"] += function.get("name") or ""
    call["function"]["arguments"] += function.get("arguments") or ""


def _joined(before: dict[str, Any], more: dict[str, Any]) -> dict[str, Any]:
    """Append each list of `more` to the list of the same name."""
    joined = dict(before)
    for key, value in more.items():
        joined[key] = (joined.get(key) or []) + value if isinstance(value, list) else value
    return joined


def _finish(choice: dict[str, Any], chat: bool) -> None:
    if not chat:
        choice["text"] = "".join(choice["text"])
        return
    message = choice["message"]
    if "reasoning_content" in message:
        message["reasoning_content"] = "".join(message["reasoning_content"])
    empty = "tool_calls" in message and not message["content"]
    message["content"] = None if empty else "".join(message["content"])
