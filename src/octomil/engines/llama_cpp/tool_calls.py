"""Tool calls that a model writes as text.

Some models answer a request with tools by JSON in their content, fenced or in `<tool_call>` tags,
where OpenAI's clients expect `tool_calls`. What might become a call is held back; the rest streams.
"""

import json
import secrets
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from contextlib import aclosing
from typing import Any

import msgspec

from octomil.http.sse import encode_event, event_data

_OPENINGS = ("<tool_call>", "```", "<tools>")
_WRAPPING = ("<tool_call>", "</tool_call>", "<tools>", "</tools>", "```json", "```xml", "```")

_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode


async def lift_tool_calls(
    events: AsyncGenerator[bytes, None], tools: Sequence[Mapping[str, Any]]
) -> AsyncGenerator[bytes, None]:
    """Relay `events`, with calls that stand in the text turned into `tool_calls`."""
    names = frozenset(tool["function"]["name"] for tool in tools)
    texts: dict[int, _HeldText] = {}
    async with aclosing(events):
        async for block in events:
            for data in event_data(block):
                chunk = _decode(data)
                for choice in chunk.get("choices", ()):
                    held = texts.setdefault(choice["index"], _HeldText(names))
                    held.pass_through(choice)
                yield encode_event(_encode(chunk))


class _HeldText:
    """One choice's text that is not sent yet."""

    def __init__(self, names: frozenset[str]) -> None:
        self._names = names
        self._pending = ""
        self._at_start = True

    def pass_through(self, choice: dict[str, Any]) -> None:
        """Rewrite one chunk's choice in place."""
        delta = choice.get("delta") or {}
        if delta.get("content"):
            self._pending += delta["content"]
            delta["content"] = self._release()
        if choice.get("finish_reason"):
            calls = parse_tool_calls(self._pending, self._names)
            if calls:
                delta["tool_calls"] = calls
                choice["finish_reason"] = "tool_calls"
            elif self._pending:
                delta["content"] = (delta.get("content") or "") + self._pending
            choice["delta"] = delta
            self._pending = ""

    def _release(self) -> str:
        """Return the text that cannot be part of a call any more, and keep the rest."""
        text = self._pending
        start = text.lstrip()
        if self._at_start and (not start or start[0] == "{"):
            return ""
        cut = len(text)
        for opening in _OPENINGS:
            found = text.find(opening)
            if found >= 0:
                cut = min(cut, found)
                continue
            for size in range(min(len(opening) - 1, len(text)), 0, -1):
                if text.endswith(opening[:size]):
                    cut = min(cut, len(text) - size)
                    break
        self._pending = text[cut:]
        self._at_start = self._at_start and not text[:cut].strip()
        return text[:cut]


def parse_tool_calls(text: str, names: frozenset[str]) -> list[dict[str, Any]]:
    """Return the calls that make up all of `text`, or none.

    Args:
        text: what the model wrote.
        names: the functions that may be called.
    """
    for mark in _WRAPPING:
        text = text.replace(mark, " ")
    calls: list[dict[str, Any]] = []
    try:
        for value in _json_values(text.strip()):
            arguments = value.get("arguments", value.get("parameters", {}))
            if value.get("name") not in names or not isinstance(arguments, dict):
                return []
            function = {"name": value["name"], "arguments": json.dumps(arguments)}
            calls.append(
                {
                    "index": len(calls),
                    "id": f"call_{secrets.token_hex(12)}",
                    "type": "function",
                    "function": function,
                }
            )
    except (ValueError, AttributeError, RecursionError):
        return []
    return calls


def _json_values(text: str) -> Iterator[Any]:
    decoder, at = json.JSONDecoder(), 0
    while at < len(text):
        value, at = decoder.raw_decode(text, at)
        yield from value if isinstance(value, list) else [value]
        while at < len(text) and text[at] in " \n\r\t,;":
            at += 1
