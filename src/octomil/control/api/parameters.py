"""Parameters that many routes take."""

import re
from typing import Annotated, Any

from fastapi import Path, Query
from pydantic import AwareDatetime, BeforeValidator
from pydantic_core import PydanticKnownError

from octomil.wire.models import MAX_LISTED


def _digits(value: Any) -> Any:
    """Refuse texts that only Python reads as integers, such as `+0.0`, `1_0` and ` 1`."""
    if isinstance(value, str) and re.fullmatch("[0-9]+|-[1-9][0-9]*", value) is None:
        raise PydanticKnownError("int_parsing")
    return value


def _as_text(value: str) -> str:
    """Refuse numbers, which pydantic would take for seconds since 1970.

    Raises:
        ValueError: it is one.
    """
    if "T" not in value.upper():
        raise ValueError("write it as RFC 3339 has it, such as 2026-01-01T00:00:00Z")
    return value


DIGITS = BeforeValidator(_digits)
"""For integers outside of bodies; to stand last, so that it reads the text first."""

Limit = Annotated[int, Query(ge=1, le=MAX_LISTED, description="How many at most."), DIGITS]
Offset = Annotated[
    int,
    Query(ge=0, le=2**31 - 1, description="How many to leave out at the beginning."),
    DIGITS,
]
Moment = Annotated[AwareDatetime, BeforeValidator(_as_text)]
"""A moment in a query, as RFC 3339 has it, with its time zone."""
PathText = Annotated[str, Path(max_length=255, pattern=r"^[^\u0000]*$")]
"""Part of a path; Postgres cannot even look for a text with a NUL in it."""
QueryText = Annotated[str | None, Query(max_length=255, pattern=r"^[^\u0000]*$")]
