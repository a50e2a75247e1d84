"""Which texts are taken: said once, for the checks and for the OpenAPI document."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Final

from annotated_types import MaxLen, MinLen

_STRANGE: Final = r"\u0000-\u001f\u007f-\u009f\u2028-\u202e\u2066-\u2069\ud800-\udfff"
_PLAIN: Final = rf"^[^{_STRANGE}]*$"


@dataclass(frozen=True, slots=True)
class Matches:
    """A text matches a pattern that Python, JavaScript and Rust read alike.

    Attributes:
        pattern: begins with `^` and ends with `$`.
    """

    pattern: str

    def __get_pydantic_core_schema__(self, source: Any, handler: Callable[[Any], Any]) -> Any:
        """Tell FastAPI, which asks every annotation for this, to check and to document it."""
        return {**handler(source), "pattern": self.pattern}


@dataclass(frozen=True, slots=True)
class OneOf:
    """A text is one of those that there are; whoever takes it checks that, and names the nearest.

    Attributes:
        texts: what there is.
    """

    texts: tuple[str, ...]

    def __get_pydantic_json_schema__(self, core: Any, handler: Callable[[Any], Any]) -> Any:
        """Say so in the OpenAPI document."""
        return {**handler(core), "enum": list(self.texts)}


@dataclass(frozen=True, slots=True)
class Documented:
    """A text matches a pattern; whoever takes it checks that, and says what is wrong in words.

    Attributes:
        pattern: begins with `^` and ends with `$`.
    """

    pattern: str

    def __get_pydantic_json_schema__(self, core: Any, handler: Callable[[Any], Any]) -> Any:
        """Say so in the OpenAPI document."""
        return {**handler(core), "pattern": self.pattern}


@dataclass(frozen=True, slots=True)
class NoOtherKeys:
    """A mapping has no keys but those that its key type takes; the checks know that anyway."""

    def __get_pydantic_json_schema__(self, core: Any, handler: Callable[[Any], Any]) -> Any:
        """Say so in the OpenAPI document, where patterns of keys alone leave others free."""
        return {**handler(core), "additionalProperties": False}


def is_plain_text(text: str) -> bool:
    """Tell whether a text is storable and showable everywhere.

    It has no control characters, line separators, changes of direction or lone surrogates.

    >>> is_plain_text("hospital-001"), is_plain_text(chr(0))
    (True, False)
    """
    return re.fullmatch(_PLAIN[1:-1], text) is not None


def plain_text(text: str) -> str:
    """Return a text with a space in place of each character that :func:`is_plain_text` refuses.

    >>> plain_text("no" + chr(10) + "room")
    'no room'
    """
    return re.sub(f"[{_STRANGE}]", " ", text)


Plain = Matches(_PLAIN.replace(r"\ud800-\udfff", ""))  # JSON and UTF-8 let no surrogate through
Identifier = Annotated[str, MinLen(1), MaxLen(255), Plain]
Label = Annotated[str, MaxLen(255), Plain]
Name = Annotated[str, MinLen(1), MaxLen(255), Plain]
