"""Objects whose fields are all known: a name that is none is refused, with the nearest that is."""

from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any


@dataclass(frozen=True, slots=True)
class KnownFields:
    """An object has no fields but these; elsewhere an unknown one is left aside.

    Attributes:
        names: of the fields that there are.
    """

    names: tuple[str, ...]

    def __get_pydantic_core_schema__(self, source: Any, handler: Callable[[Any], Any]) -> Any:
        """Tell FastAPI, which asks every annotation for this, to check before anything else."""
        function = {"type": "no-info", "function": self.check}
        return {"type": "function-before", "function": function, "schema": handler(source)}

    def __get_pydantic_json_schema__(self, core: Any, handler: Callable[[Any], Any]) -> Any:
        """Say so in the OpenAPI document, wherever it keeps the object's schema."""
        return {"allOf": [handler(core)], "propertyNames": {"enum": list(self.names)}}

    def check(self, value: object) -> object:
        """Return an object as it is, and anything else too, which others complain of.

        Raises:
            ValueError: a field is not known.

        Example:
            >>> KnownFields(("seed", "top_p")).check({"topp": 1})
            Traceback (most recent call last):
            ValueError: there is no 'topp'; did you mean 'top_p'?
        """
        if isinstance(value, dict):
            for name in value:
                if name not in self.names:
                    raise ValueError(f"there is no {name!r}; {self._instead(str(name))}")
        return value

    def _instead(self, name: str) -> str:
        near = get_close_matches(name, self.names, n=1)
        return f"did you mean {near[0]!r}?" if near else f"there are {', '.join(self.names)}"
