"""Tool calls that a model writes as text, and how a model is made to write one.

Some models answer a request with tools by JSON in their content, fenced or in `<tool_call>` tags,
where OpenAI's clients expect `tool_calls`. What might become a call is held back; the rest streams.

llama.cpp takes no named function, and its own "required" lets some models write blank lines for
ever. So a call that must come is written under a JSON schema, and lifted like any other.
"""

import json
import re
import secrets
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

import msgspec

from octomil.engines.base import Usage
from octomil.http.sse import encode_event, event_data

_MARKS = ("<tool_call>", "</tool_call>", "<tools>", "</tools>", "```json", "```xml", "```")
_OPENINGS = ("<tool_call>", "<tools>", "```")
_OPENING = re.compile("|".join(_OPENINGS))
_CALL_KEYS = frozenset(("name", "arguments", "parameters", "type", "id"))
_MOST_CALLS = 16

_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


_read_value = json.JSONDecoder(parse_constant=_refuse_constant).raw_decode


@dataclass(frozen=True, slots=True)
class ToolUse:
    """What a request says about tools.

    Attributes:
        names: the functions the model may call.
        parallel: whether one answer may hold several calls.
        schema: what the answer must look like where a call is demanded, else None.
    """

    names: frozenset[str]
    parallel: bool = True
    schema: dict[str, Any] | None = None


def tool_use(body: Mapping[str, Any]) -> ToolUse | None:
    """Read a checked chat request's tools; None if the model is to see none."""
    choice: Any = body.get("tool_choice") or "auto"
    if not body.get("tools") or choice == "none":
        return None
    functions = {tool["function"]["name"]: tool["function"] for tool in body["tools"]}
    parallel = body.get("parallel_tool_calls") is not False
    if choice == "auto":
        return ToolUse(frozenset(functions), parallel)
    if choice == "required":
        return ToolUse(frozenset(functions), parallel, _any_call(functions, several=parallel))
    name = choice["function"]["name"]
    schema = _any_call({name: functions[name]}, several=False)
    return ToolUse(frozenset([name]), parallel=False, schema=schema)


def _any_call(functions: Mapping[str, Mapping[str, Any]], *, several: bool) -> dict[str, Any]:
    """Return the JSON schema of a call of one of `functions`, or of a list of such calls."""
    definitions: dict[str, Any] = {}
    calls: list[dict[str, Any]] = []
    for name, function in functions.items():
        place = f"#/$defs/{len(calls)}"
        parameters = function.get("parameters") or {"type": "object", "properties": {}}
        definitions[str(len(calls))] = _rebased(parameters, place)
        calls.append(
            {
                "type": "object",
                "properties": {"name": {"const": name}, "arguments": {"$ref": place}},
                "required": ["name", "arguments"],
                "additionalProperties": False,
            }
        )
    schema: dict[str, Any] = {"anyOf": calls} if len(calls) > 1 else calls[0]
    if several:
        schema = {"type": "array", "items": schema, "minItems": 1, "maxItems": _MOST_CALLS}
    return {**schema, "$defs": definitions}


def _rebased(schema: Any, root: str) -> Any:
    """Return `schema` with its references to itself made relative to its new place."""
    if isinstance(schema, list):
        return [_rebased(part, root) for part in schema]
    if not isinstance(schema, dict):
        return schema
    moved = {key: _rebased(part, root) for key, part in schema.items()}
    ref = schema.get("$ref")
    if isinstance(ref, str) and ref.startswith("#"):
        moved["$ref"] = root + ref[1:]
    return moved


async def lift_tool_calls(
    events: AsyncGenerator[bytes, None], use: ToolUse, usage: Usage
) -> AsyncGenerator[bytes, None]:
    """Relay `events`, with calls that stand in the text turned into `tool_calls`.

    Args:
        events: a chat stream.
        use: which calls to expect.
        usage: of that stream; its finish reason becomes `tool_calls` with the stream's.
    """
    texts: dict[int, _HeldText] = {}
    async with aclosing(events):
        async for block in events:
            for data in event_data(block):
                chunk = _decode(data)
                choices = chunk.get("choices") or ()
                for choice in choices:
                    held = texts.setdefault(choice["index"], _HeldText(use))
                    if held.pass_through(choice):
                        usage.finish_reason = "tool_calls"
                if not choices or any(map(_says_something, choices)):
                    yield encode_event(_encode(chunk))


def _says_something(choice: dict[str, Any]) -> bool:
    return bool(choice.get("delta") or choice.get("finish_reason") or choice.get("logprobs"))


class _HeldText:
    """One choice's text that is not sent yet."""

    def __init__(self, use: ToolUse) -> None:
        self._use = use
        self._pending = ""
        self._at_start = True

    def pass_through(self, choice: dict[str, Any]) -> bool:
        """Rewrite one chunk's choice in place; tell whether it became tool calls."""
        delta = choice["delta"] = choice.get("delta") or {}
        if delta.get("content"):
            self._pending += delta.pop("content")
            released = self._release()
            if released:
                delta["content"] = released
        if not choice.get("finish_reason"):
            return False
        calls = parse_tool_calls(self._pending, self._use.names)
        if calls:
            delta["tool_calls"] = calls if self._use.parallel else calls[:1]
            choice["finish_reason"] = "tool_calls"
        elif self._pending:
            delta["content"] = delta.get("content", "") + self._pending
        self._pending = ""
        return bool(calls)

    def _release(self) -> str:
        """Return the text that cannot be part of a call any more, and keep the rest."""
        text = self._pending
        cut = _held_from(text, at_start=self._at_start)
        self._pending = text[cut:]
        self._at_start = self._at_start and not text[:cut].strip()
        return text[:cut]


def _held_from(text: str, *, at_start: bool) -> int:
    """Return where that end of `text` begins which may be, or become, calls."""
    if at_start and _may_be_calls(text, 0):
        return 0
    for opening in _OPENING.finditer(text):
        if _may_be_calls(text, opening.start()):
            return opening.start()
    for size in range(max(map(len, _OPENINGS)) - 1, 0, -1):
        tail = text[-size:]
        if any(opening.startswith(tail) for opening in _OPENINGS):
            return len(text) - len(tail)
    return len(text)


def _may_be_calls(text: str, at: int) -> bool:
    at = _after_marks(text, at)
    return at == len(text) or text[at] in "{["


def _after_marks(text: str, at: int) -> int:
    """Return the place after space, separators and wrapping; an unfinished mark counts as one."""
    while at < len(text):
        if text[at] in " \n\r\t,;":
            at += 1
            continue
        rest = text[at : at + len("</tool_call>")]
        if any(mark.startswith(rest) and mark != rest for mark in _MARKS):
            return len(text)
        mark = next((mark for mark in _MARKS if rest.startswith(mark)), "")
        if not mark:
            break
        at += len(mark)
    return at


def parse_tool_calls(text: str, names: frozenset[str]) -> list[dict[str, Any]]:
    r"""Return the calls that make up all of `text`, or none.

    Args:
        text: what the model wrote.
        names: the functions that may be called.

    Example:
        >>> text = '```json\n{"name": "add", "arguments": {"a": 1}}\n```'
        >>> [call["function"] for call in parse_tool_calls(text, frozenset({"add"}))]
        [{'name': 'add', 'arguments': '{"a": 1}'}]
    """
    values: list[Any] = []
    at = _after_marks(text, 0)
    try:
        while at < len(text):
            value, at = _read_call(text, at)
            values += value if isinstance(value, list) else [value]
            at = _after_marks(text, at)
        functions = [_function(value, names) for value in values]
    except (ValueError, RecursionError):
        return []
    return [
        {
            "index": index,
            "id": f"call_{secrets.token_hex(12)}",
            "type": "function",
            "function": function,
        }
        for index, function in enumerate(functions)
    ]


def _read_call(text: str, at: int) -> tuple[Any, int]:
    """Read one JSON value, and where it ends.

    Qwen2.5's template shows a call in doubled braces by mistake, and the model copies them, at
    times only the first.
    """
    if not text.startswith("{{", at):
        return _read_value(text, at)
    value, end = _read_value(text, at + 1)
    return value, end + text.startswith("}", end)


def _function(value: Any, names: frozenset[str]) -> dict[str, str]:
    """Return the call that a JSON value describes.

    Raises:
        ValueError: it is none; a tool's own description, for one, has further keys.
    """
    if not isinstance(value, dict) or not _CALL_KEYS.issuperset(value):
        raise ValueError("not a call")
    arguments = value.get("arguments", value.get("parameters", {}))
    if isinstance(arguments, str):
        arguments = _read_value(arguments)[0]
    if value.get("name") not in names or not isinstance(arguments, dict):
        raise ValueError("not a call of a known function")
    return {"name": value["name"], "arguments": json.dumps(arguments)}
