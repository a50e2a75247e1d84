"""API keys."""

from dataclasses import dataclass
from typing import Annotated

from annotated_types import Interval, MaxLen, MinLen

from octomil.wire.numbers import EXACT
from octomil.wire.scopes import SCOPE_NAMES
from octomil.wire.texts import Name, OneOf, Plain

MAX_KEY_TTL_S = 10 * 366 * 86_400
MAX_ROTATION_GRACE_S = 30 * 86_400

Scope = Annotated[str, MinLen(1), MaxLen(64), Plain, OneOf(SCOPE_NAMES)]


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateKey:
    """`POST /keys`.

    Attributes:
        scopes: what it is to be good for; none that the key which makes it lacks.
        expires_in_seconds: null for never.
    """

    name: Name
    scopes: Annotated[list[Scope], MinLen(1), MaxLen(32)]
    expires_in_seconds: Annotated[int, Interval(ge=60, le=MAX_KEY_TTL_S), EXACT] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RotateKey:
    """`POST /keys/{id}/rotate`.

    Attributes:
        grace_seconds: so long the old key goes on being good.
    """

    grace_seconds: Annotated[int, Interval(ge=0, le=MAX_ROTATION_GRACE_S), EXACT] = 86_400


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyView:
    """A key, without its text.

    Attributes:
        prefix: how the text begins.
        status: `active`, `expired` or `revoked`.
        last_used_at: to within some seconds, RFC 3339 in UTC.
        replaced_by: the id of the key that it was rotated to.
    """

    id: str
    name: str
    prefix: str
    scopes: list[str]
    status: str
    created_at: str
    expires_at: str | None
    last_used_at: str | None
    replaced_by: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyCreated(KeyView):
    """A key with its text, which cannot be had again."""

    key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyList:
    """`GET /keys`, oldest first."""

    keys: list[KeyView]
