"""Numbers and booleans as JSON has them: no text, and no boolean, passes for a number."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any


@dataclass(frozen=True, slots=True)
class Exactly:
    """A value is of the annotated type, and not merely of one that could be made into it."""

    def __get_pydantic_core_schema__(self, source: Any, handler: Callable[[Any], Any]) -> Any:
        """Tell FastAPI, which asks every annotation for this."""
        exact = {**handler(source), "strict": True}
        if source is not int:
            return exact
        function = {"type": "no-info", "function": _whole}
        return {"type": "function-before", "function": function, "schema": exact}


def _whole(value: object) -> object:
    """Return what is meant: JSON does not tell 12.0 from 12."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


EXACT = Exactly()
"""Last in an annotation: `Annotated[int, Ge(0), EXACT]` takes 12 and 12.0, not `true` or `"12"`.

Before the bounds it would hide them from the OpenAPI document.
"""
Flag = Annotated[bool, EXACT]
"""`true` or `false`: neither `1` nor `"yes"`."""
