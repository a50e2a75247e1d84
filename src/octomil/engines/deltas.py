"""Putting a message together from the deltas in which a stream tells it.

No list of fields: what a vendor adds tomorrow is put together like what OpenAI has today. Text is
strung together, objects are merged field by field, the entries of a list by their `index` or, where
they have none, one after the other; of anything else the last value stands. Null never overwrites.
"""

from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

_STATED = frozenset({"id", "index", "role", "type"})
"""Texts that say what something is: told once or again and again, but never in pieces."""

_Held = TypeVar("_Held", "_Text", "_Entries", dict[str, Any])


class _Text(list[str]):
    """A text in its pieces."""


class _Entries:
    """A list whose numbered entries come in pieces."""

    def __init__(self) -> None:
        self.numbered: dict[int, dict[str, Any]] = {}
        self.whole: list[Any] = []

    def extend(self, entries: Iterable[Any]) -> None:
        for entry in entries:
            index = entry.get("index") if isinstance(entry, dict) else None
            if isinstance(index, int):
                add(self.numbered.setdefault(index, {}), entry)
            else:
                self.whole.append(entry)


def add(message: dict[str, Any], delta: Mapping[str, Any]) -> None:
    """Take a delta into the message it is a piece of; `settled` makes that one plain again.

    Raises:
        TypeError: a field is of another kind than it was.
    """
    for name, value in delta.items():
        if value is None:
            message.setdefault(name, None)
        elif isinstance(value, str) and name not in _STATED:
            _held(message, name, _Text).append(value)
        elif isinstance(value, dict):
            add(_held(message, name, dict), value)
        elif isinstance(value, list):
            _held(message, name, _Entries).extend(value)
        elif isinstance(message.get(name), _Text | _Entries | dict):
            raise TypeError(f"`{name}` became a {type(value).__name__}")
        else:
            message[name] = value


def _held(message: dict[str, Any], name: str, kind: type[_Held]) -> _Held:
    held = message.get(name)
    if held is None:
        held = message[name] = kind()
    if type(held) is not kind:
        raise TypeError(f"`{name}` was told in more than one form")
    return held


def settled(value: Any) -> Any:
    """Return what was put together as plain JSON values.

    Example:
        >>> message = {}
        >>> add(message, {"role": "assistant", "content": "Low "})
        >>> add(message, {"content": "tide"})
        >>> settled(message)
        {'role': 'assistant', 'content': 'Low tide'}
    """
    if isinstance(value, _Text):
        return "".join(value)
    if isinstance(value, _Entries):
        return [settled(entry) for _, entry in sorted(value.numbered.items())] + value.whole
    if isinstance(value, dict):
        return {name: settled(field) for name, field in value.items()}
    return value
