"""Rollouts, and what devices attest that they run."""

from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Interval, MaxLen

from octomil.wire.numbers import EXACT, Flag
from octomil.wire.texts import Identifier, Matches, Plain

AttestedStatus = Literal["active", "failed"]
Percentage = Annotated[float, Interval(ge=0, le=100), EXACT]
ManifestDigest = Annotated[str, Matches(r"^sha256:[0-9a-f]{64}$")]
Message = Annotated[str, MaxLen(2000), Plain]


@dataclass(frozen=True, slots=True, kw_only=True)
class RolloutRequest:
    """`POST /models/{id}/rollouts`.

    Attributes:
        version: a published version's number.
        rollout_percentage: share of the devices to begin with.
        target_percentage: share to end with.
        increment_step: percentage points that each step adds.
        start_immediately: offer it now; else it is pending until it is started.
    """

    version: Identifier
    rollout_percentage: Percentage = 10
    target_percentage: Percentage = 100
    increment_step: Percentage = 10
    start_immediately: Flag = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RolloutView:
    """A rollout.

    Attributes:
        digest: of the version's manifest, `sha256:` and 64 hexadecimal digits.
        status: pending, active, completed or rolled_back.
        active_devices: how many attested that they run it.
        failed_devices: how many said that they cannot.
        created_at: RFC 3339 in UTC, as are the others.
    """

    id: str
    model_id: str
    version: str
    digest: str
    status: str
    rollout_percentage: float
    target_percentage: float
    increment_step: float
    active_devices: int
    failed_devices: int
    created_at: str
    started_at: str | None
    completed_at: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AttestationRequest:
    """`POST /devices/{id}/attestations`: what a device found when it looked at what it runs.

    Attributes:
        digest: of the manifest of what it runs, or of what it could not run.
        status: `failed` if it could not, `message` says why.
    """

    model_id: Identifier
    version: Identifier
    digest: ManifestDigest
    status: AttestedStatus = "active"
    message: Message | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AttestationView:
    """What a device attested last about a model.

    Attributes:
        attested_at: RFC 3339 in UTC.
    """

    device_id: str
    model_id: str
    version: str
    digest: str
    status: str
    message: str | None
    attested_at: str
