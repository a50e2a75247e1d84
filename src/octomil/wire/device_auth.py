"""How a device gets its tokens, renews them and gives them up."""

from dataclasses import dataclass, field
from typing import Annotated

from annotated_types import Interval, MaxLen, MinLen

from octomil.wire.devices import Groups, Labels
from octomil.wire.numbers import EXACT
from octomil.wire.scopes import DEVICE_SCOPE_NAMES
from octomil.wire.texts import Identifier, Label, Name, OneOf, Plain

MIN_ACCESS_TTL_S = 60
MAX_ACCESS_TTL_S = 86_400
MAX_BOOTSTRAP_TTL_S = 366 * 86_400
MAX_USES = 1_000_000_000

Token = Annotated[str, MinLen(1), MaxLen(1024), Plain]
DeviceScope = Annotated[str, MinLen(1), MaxLen(64), Plain, OneOf(DEVICE_SCOPE_NAMES)]


@dataclass(frozen=True, slots=True, kw_only=True)
class BootstrapRequest:
    """`POST /device-auth/bootstrap`, with an API key or a bootstrap token as the bearer token.

    Attributes:
        device_identifier: the device is registered under it unless it is already.
        device_id: the id it has here, where it knows that.
        access_ttl_seconds: how long each access token is to hold.
    """

    device_identifier: Identifier
    org_id: Identifier | None = None
    device_id: Identifier | None = None
    scopes: Annotated[list[DeviceScope], MaxLen(32)] = field(
        default_factory=lambda: ["devices:write"]
    )
    access_ttl_seconds: (
        Annotated[int, Interval(ge=MIN_ACCESS_TTL_S, le=MAX_ACCESS_TTL_S), EXACT] | None
    ) = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RefreshRequest:
    """`POST /device-auth/refresh`, without any other credential."""

    refresh_token: Token


@dataclass(frozen=True, slots=True, kw_only=True)
class RevokeRequest:
    """`POST /device-auth/revoke`, without any other credential."""

    refresh_token: Token
    reason: Label | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceTokens:
    """What a device proves itself with.

    Attributes:
        access_token: sent with each call as the bearer token.
        refresh_token: good for one refresh, which answers with the next one.
        expires_in: seconds until the access token ends.
        expires_at: the same as a moment, RFC 3339 in UTC.
    """

    access_token: str
    refresh_token: str
    token_type: str
    expires_in: int
    expires_at: str
    org_id: str
    device_id: str
    device_identifier: str
    scopes: list[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Revoked:
    """The answer to a revocation, the same whether or not the token was known."""

    status: str = "revoked"


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateBootstrapToken:
    """`POST /device-auth/bootstrap-tokens`.

    Attributes:
        expires_in_seconds: how long it is good.
        max_uses: how often; null for as often as there are devices.
        device_scopes: what the tokens that devices get for it may be good for; none that the key
            which makes it lacks.
        labels: given to each device that is new.
        groups: joined by each device that is new.
    """

    name: Name
    expires_in_seconds: Annotated[int, Interval(ge=60, le=MAX_BOOTSTRAP_TTL_S), EXACT] = 86_400
    max_uses: Annotated[int, Interval(ge=1, le=MAX_USES), EXACT] | None = 1
    device_scopes: Annotated[list[DeviceScope], MinLen(1), MaxLen(32)] = field(
        default_factory=lambda: ["devices:write", "models:read"]
    )
    labels: Labels = field(default_factory=dict)
    groups: Groups = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class BootstrapTokenView:
    """A bootstrap token, without its text.

    Attributes:
        prefix: how the text begins.
        status: `active`, `used_up`, `expired` or `revoked`.
    """

    id: str
    name: str
    prefix: str
    status: str
    device_scopes: list[str]
    labels: dict[str, str]
    groups: list[str]
    uses: int
    max_uses: int | None
    created_at: str
    expires_at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BootstrapTokenCreated(BootstrapTokenView):
    """A bootstrap token with its text, which cannot be had again."""

    token: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BootstrapTokenList:
    """`GET /device-auth/bootstrap-tokens`, oldest first."""

    bootstrap_tokens: list[BootstrapTokenView]
