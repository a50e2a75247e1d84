"""Answers that need no model, in OpenAI's form."""

import secrets
from datetime import UTC, datetime
from typing import Any

import msgspec

from octomil.http.sse import encode_event
from octomil.routing.router import TIER0_MODEL

_encode = msgspec.json.Encoder().encode
_NO_USAGE = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}


def _head(kind: str) -> dict[str, Any]:
    return {
        "id": f"chatcmpl-{secrets.token_hex(12)}",
        "object": kind,
        "created": int(datetime.now(UTC).timestamp()),
        "model": TIER0_MODEL,
    }


def tier0_completion(text: str) -> bytes:
    """Return a chat completion that says `text` and used no tokens."""
    message = {"role": "assistant", "content": text}
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
    return _encode({**_head("chat.completion"), "choices": [choice], "usage": _NO_USAGE})


def tier0_chunks(text: str, *, wants_usage: bool) -> bytes:
    """Return the same as server-sent events, without the final `[DONE]`."""
    head = _head("chat.completion.chunk")
    first = {"index": 0, "delta": {"role": "assistant", "content": text}, "finish_reason": None}
    last = {"index": 0, "delta": {}, "finish_reason": "stop"}
    events: list[dict[str, Any]] = [{**head, "choices": [first]}, {**head, "choices": [last]}]
    if wants_usage:
        events.append({**head, "choices": [], "usage": _NO_USAGE})
    return b"".join(encode_event(_encode(event)) for event in events)
