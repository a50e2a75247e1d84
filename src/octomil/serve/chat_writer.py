"""Chat answers that the node words itself, in OpenAI's form."""

import secrets
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec

from octomil.http.sse import encode_event

_encode = msgspec.json.Encoder().encode


class ChatWriter:
    """Words one answer, whole or event by event.

    Args:
        model: what the answer gives as its `model`.
    """

    def __init__(self, model: str) -> None:
        self._head = {
            "id": f"chatcmpl-{secrets.token_hex(12)}",
            "created": int(datetime.now(UTC).timestamp()),
            "model": model,
        }
        self._spoke = False

    def whole(self, text: str, finish_reason: str, usage: Mapping[str, Any], **more: Any) -> bytes:
        """Return the whole answer; `more` are fields beside OpenAI's."""
        message = {"role": "assistant", "content": text}
        choice = {
            "index": 0,
            "message": message,
            "logprobs": None,
            "finish_reason": finish_reason,
        }
        head = {**self._head, "object": "chat.completion"}
        return _encode({**head, "choices": [choice], "usage": usage, **more})

    def event(self, text: str) -> bytes:
        """Return a server-sent event that says `text`; the first one says who speaks as well."""
        role = {} if self._spoke else {"role": "assistant"}
        self._spoke = True
        return self._chunk([_choice({**role, "content": text}, None)])

    def end(self, finish_reason: str, **more: Any) -> bytes:
        """Return the event that ends the answer; `more` are fields beside OpenAI's."""
        opening = b"" if self._spoke else self.event("")
        return opening + self._chunk([_choice({}, finish_reason)], **more)

    def usage_event(self, usage: Mapping[str, Any]) -> bytes:
        """Return the event that tells the usage, without choices as OpenAI does."""
        return self._chunk([], usage=usage)

    def _chunk(self, choices: list[dict[str, Any]], **more: Any) -> bytes:
        head = {**self._head, "object": "chat.completion.chunk"}
        return encode_event(_encode({**head, "choices": choices, **more}))


def _choice(delta: dict[str, str], finish_reason: str | None) -> dict[str, Any]:
    return {"index": 0, "delta": delta, "finish_reason": finish_reason}
