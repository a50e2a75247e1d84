"""What lists that come page by page are asked with."""

from typing import Annotated, Final

from fastapi import Query

from octomil.control.api.parameters import DIGITS

DEFAULT_LIMIT: Final = 100
MAX_LIMIT: Final = 500

PageLimit = Annotated[int, Query(ge=1, le=MAX_LIMIT, description="How many at most."), DIGITS]
Cursor = Annotated[
    str | None,
    Query(
        min_length=1,
        max_length=2048,
        pattern=r"^[A-Za-z0-9_-]+$",
        description="`next_cursor` of the page before, as it came.",
    ),
]
