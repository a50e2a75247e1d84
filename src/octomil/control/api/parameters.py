"""Parameters that many routes take."""

from typing import Annotated

from fastapi import Path, Query

from octomil.wire.models import MAX_LISTED

Limit = Annotated[int, Query(ge=1, le=MAX_LISTED, description="How many at most.")]
Offset = Annotated[
    int, Query(ge=0, le=2**31 - 1, description="How many to leave out at the beginning.")
]
PathText = Annotated[str, Path(max_length=255, pattern=r"^[^\u0000]*$")]
"""Part of a path; Postgres cannot even look for a text with a NUL in it."""
QueryText = Annotated[str | None, Query(max_length=255, pattern=r"^[^\u0000]*$")]
