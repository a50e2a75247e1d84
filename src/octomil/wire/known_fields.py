"""Requests that take no field but their own: one that is misspelt would else say nothing."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import fields
from difflib import get_close_matches
from typing import Any


class UnknownFieldsError(ValueError):
    """A request has fields that there are not.

    Args:
        unknown: their names.
        known: the fields that there are.
    """

    def __init__(self, unknown: Sequence[str], known: Sequence[str]) -> None:
        self.unknown = tuple(unknown)
        self._known = tuple(known)
        super().__init__("; ".join(f"{each}: {self.problem(each)}" for each in unknown))

    def problem(self, name: str) -> str:
        """Return what is wrong with one of them: the nearest field that there is, or all."""
        near = get_close_matches(name, self._known, n=1)
        if near:
            return f"there is no such field; did you mean {near[0]!r}?"
        return f"there is no such field, only {', '.join(self._known)}"


class KnownFields:
    """Base of a dataclass that is made from JSON and takes no field but its own."""

    __slots__ = ()

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Callable[[Any], Any]) -> Any:
        """Tell FastAPI, which asks every type for this.

        The name by which other fields refer to the type goes with the check, or only the first
        field of that type would be checked.
        """
        own = dict(handler(source))
        name = {"ref": own.pop("ref")} if "ref" in own else {}
        function = {"type": "no-info", "function": cls.require_known}
        return {"type": "function-before", "function": function, "schema": own, **name}

    @classmethod
    def __get_pydantic_json_schema__(cls, core: Any, handler: Any) -> Any:
        """Say so in the OpenAPI document."""
        schema = handler(core)
        handler.resolve_ref_schema(schema)["additionalProperties"] = False
        return schema

    @classmethod
    def require_known(cls, value: object) -> object:
        """Return what was sent.

        Raises:
            UnknownFieldsError: it is an object with fields that there are not.
        """
        if isinstance(value, dict):
            known = _names(cls)
            unknown = [name for name in value if name not in known]
            if unknown:
                raise UnknownFieldsError(unknown, known)
        return value


def _names(kind: Any) -> tuple[str, ...]:
    found: Iterable[Any] = fields(kind)
    return tuple(each.name for each in found)
