"""What one setting may be: its type, its limits, and how it is written as text.

A configuration's fields carry a `Rule` in their metadata. The rule checks values wherever they
come from, so that an error reads the same in Python, in the environment and in a file.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from math import isfinite
from typing import Any, Literal

from epochly.errors import ConfigurationError

_TRUE, _FALSE = ("1", "true", "yes", "on"), ("0", "false", "no", "off")

Kind = Literal["boolean", "integer", "number", "text", "list"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """What a setting may be.

    Attributes:
        kind: the type of its values. Integers pass where a `number` is wanted; `True` is neither.
        doc: what the setting does, for the documentation.
        minimum: the smallest number allowed.
        maximum: the largest number allowed.
        choices: the only texts allowed; those of its items if the setting is a list.
        json_list: as text, a list is a JSON array only, because its items may hold commas.
    """

    kind: Kind
    doc: str
    minimum: float | None = None
    maximum: float | None = None
    choices: Sequence[str] = ()
    json_list: bool = False

    def check(self, value: object) -> Any:
        """Return the value in the setting's own type.

        Raises:
            ConfigurationError: it is of another type, or outside the limits. The message says
                what is allowed and what was given, and leaves the setting's name to the caller.
        """
        checked = _AS_KIND[self.kind](value)
        if checked is None or not self._is_within(checked):
            raise self._refusal(value)
        return checked

    def parse(self, text: str) -> Any:
        """Return the value that a text stands for.

        Raises:
            ConfigurationError: it stands for none, or for one that is not allowed.
        """
        value = self._read(text.strip())
        if value is None:
            raise self._refusal(text)
        try:
            return self.check(value)
        except ConfigurationError:
            raise self._refusal(text) from None

    def format(self, value: Any) -> str:
        """Return the text that `parse` reads as this value."""
        if isinstance(value, bool):
            return str(value).lower()
        if isinstance(value, list):
            return json.dumps(value)
        return str(value)

    @property
    def allowed(self) -> str:
        """What the setting may be, in words."""
        if self.kind == "boolean":
            return "true or false"
        if self.kind == "list":
            return f"a list of {_either(self.choices) if self.choices else 'texts'}"
        if self.choices:
            return _either(self.choices)
        noun = {"integer": "an integer", "number": "a number", "text": "a text"}[self.kind]
        if self.minimum is not None and self.maximum is not None:
            return f"{noun} from {self.minimum:g} to {self.maximum:g}"
        return noun if self.minimum is None else f"{noun} of at least {self.minimum:g}"

    def _is_within(self, value: Any) -> bool:
        if self.kind in ("integer", "number"):
            above = self.minimum is None or value >= self.minimum
            return above and (self.maximum is None or value <= self.maximum)
        items = value if isinstance(value, list) else [value]
        return not self.choices or all(item in self.choices for item in items)

    def _read(self, text: str) -> Any:
        try:
            match self.kind:
                case "boolean":
                    return {**dict.fromkeys(_TRUE, True), **dict.fromkeys(_FALSE, False)}.get(
                        text.lower()
                    )
                case "integer":
                    return int(text)
                case "number":
                    return float(text)
                case "list":
                    return self._read_list(text)
                case "text":
                    return text
        except ValueError:
            return None

    def _read_list(self, text: str) -> Any:
        if self.json_list or text.startswith("["):
            return json.loads(text)
        return [item.strip() for item in text.split(",") if item.strip()]

    def _refusal(self, value: object) -> ConfigurationError:
        hint = ""
        if self.kind == "list" and isinstance(value, str):
            hint = ", as a JSON array" if self.json_list else ", separated by commas"
        return ConfigurationError(f"must be {self.allowed}{hint}; got {value!r}")


def _boolean(value: object) -> bool | None:
    return value if isinstance(value, bool) else None


def _integer(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if isfinite(value) else None


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _list(value: object) -> list[str] | None:
    if not isinstance(value, list | tuple) or not all(isinstance(item, str) for item in value):
        return None
    return list(value)


_AS_KIND = {
    "boolean": _boolean,
    "integer": _integer,
    "number": _number,
    "text": _text,
    "list": _list,
}


def _either(words: Sequence[str]) -> str:
    quoted = [repr(word) for word in words]
    return " or ".join(filter(None, (", ".join(quoted[:-1]), quoted[-1])))


def setting(default: Any, kind: Kind, doc: str, **limits: Any) -> Any:
    """Declare a dataclass's field with its rule."""
    metadata = {"rule": Rule(kind=kind, doc=doc, **limits)}
    if isinstance(default, list):
        return field(default_factory=lambda: list(default), metadata=metadata)
    return field(default=default, metadata=metadata)


def rules_of(table: Any) -> dict[str, Rule]:
    """Return the rules of a dataclass or of an instance, by the names of their fields."""
    return {f.name: f.metadata["rule"] for f in fields(table) if "rule" in f.metadata}


def check_settings(table: object) -> None:
    """Check every setting of a frozen dataclass, and put it into its own type; in `__post_init__`.

    Raises:
        ConfigurationError: a setting is of the wrong type or outside its limits.
    """
    for name, rule in rules_of(table).items():
        try:
            checked = rule.check(getattr(table, name))
        except ConfigurationError as err:
            raise ConfigurationError(f"{type(table).__name__}.{name} {err}") from None
        object.__setattr__(table, name, checked)
