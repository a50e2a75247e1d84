"""Aliases: names such as `production` that point at versions, and what they pointed at."""

from dataclasses import dataclass
from typing import Annotated

from annotated_types import Interval, MaxLen, MinLen

from octomil.wire.numbers import EXACT
from octomil.wire.texts import Matches
from octomil.wire.versions import Number

MAX_REVISION = 2**53 - 1  # what JSON numbers hold exactly everywhere
AliasName = Annotated[str, MinLen(1), MaxLen(64), Matches(r"^[a-z0-9][a-z0-9_.-]*$")]


@dataclass(frozen=True, slots=True, kw_only=True)
class AliasMove:
    """`PUT /models/{id}/aliases/{name}`.

    Attributes:
        version: where it is to point: a published version.
        expected_revision: it is moved only if it still has this revision, 0 for one that is not
            there yet; None to move it whatever it has.
    """

    version: Number
    expected_revision: Annotated[int, Interval(ge=0, le=MAX_REVISION), EXACT] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AliasView:
    """Where a name points, or pointed.

    Attributes:
        version: None where the name was taken away.
        revision: grows by one with each move.
        moved_at: since when, RFC 3339 in UTC.
        moved_by: who moved it.
    """

    model_id: str
    name: str
    version: str | None
    revision: int
    moved_at: str
    moved_by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AliasList:
    """`GET /models/{id}/aliases`, in the order of their names."""

    aliases: list[AliasView]


@dataclass(frozen=True, slots=True, kw_only=True)
class AliasHistory:
    """`GET /models/{id}/aliases/{name}/history`, newest first."""

    history: list[AliasView]
