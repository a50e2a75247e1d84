"""What callers prove themselves with."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKey:
    """A key of an organisation; its text is known to its holder alone.

    Attributes:
        hash: SHA-256 of the text.
        prefix: how the text begins, to tell keys apart by; empty for those of earlier versions.
        scopes: what it is good for; `*` for everything.
        expires_at: None for never.
        revoked_at: None while it holds.
        last_used_at: to within the time between two flushes; None before the first use.
        replaced_by: the id of the key that it was rotated to.
    """

    id: str
    organisation: str
    name: str
    hash: bytes
    scopes: tuple[str, ...]
    created_at: datetime
    prefix: str = ""
    expires_at: datetime | None = None
    revoked_at: datetime | None = None
    last_used_at: datetime | None = None
    replaced_by: str | None = None

    def holds_at(self, now: datetime) -> bool:
        """Tell whether the key is good at a moment."""
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)


@dataclass(frozen=True, slots=True, kw_only=True)
class BootstrapToken:
    """What devices without any other credential get their first tokens with.

    Attributes:
        hash: SHA-256 of the text.
        prefix: how the text begins.
        device_scopes: what the devices' tokens may be good for.
        labels: given to each device that is new.
        groups: joined by each device that is new.
        max_uses: devices that it lets in; None for as many as there are.
        revoked_at: None while it holds.
    """

    id: str
    organisation: str
    name: str
    hash: bytes
    prefix: str
    device_scopes: tuple[str, ...]
    labels: Mapping[str, str]
    groups: tuple[str, ...]
    created_at: datetime
    expires_at: datetime
    max_uses: int | None
    uses: int = 0
    revoked_at: datetime | None = None

    def holds_at(self, now: datetime) -> bool:
        """Tell whether the token is good at a moment, be it used up or not."""
        return self.revoked_at is None and now < self.expires_at


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenFamily:
    """All refresh tokens that descend from one bootstrap; only the youngest is good.

    Attributes:
        id: 16 random bytes as hexadecimal digits; part of each token.
        current_hash: SHA-256 of the youngest token's secret.
        previous_hash: of the one before, which a client whose answer was lost may use again.
        rotated_at: when the youngest was given out.
        rotations: how many went before the youngest; 0 too for those of before they were counted.
        access_ttl_s: seconds that access tokens hold.
        revoked_at: None while it is good.
        bootstrap_id: the bootstrap token that it began with; None for an API key.
    """

    id: str
    organisation: str
    device_id: str
    scopes: tuple[str, ...]
    access_ttl_s: int
    current_hash: bytes
    previous_hash: bytes | None
    created_at: datetime
    rotated_at: datetime
    expires_at: datetime
    revoked_at: datetime | None = None
    revoke_reason: str | None = None
    bootstrap_id: str | None = None
    rotations: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class SigningSecret:
    """What access tokens are signed with.

    Attributes:
        id: goes into each token, so that secrets can change while tokens live.
        secret: 32 random bytes.
        retired_at: from then on it signs nothing, but what it signed holds until it expires.
    """

    id: str
    secret: bytes
    created_at: datetime
    retired_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Revocation:
    """Which access tokens of a device are void: those of generations below this."""

    device_id: str
    generation: int
