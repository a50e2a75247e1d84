"""Rollouts, and what devices attest that they run."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class RolloutStatus(StrEnum):
    """Where a rollout stands."""

    PENDING = "pending"
    ACTIVE = "active"
    COMPLETED = "completed"
    ROLLED_BACK = "rolled_back"

    @property
    def is_open(self) -> bool:
        """Whether it may still change by itself."""
        return self in OPEN


OPEN = frozenset({RolloutStatus.PENDING, RolloutStatus.ACTIVE})


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollout:
    """A version's way to the devices.

    Attributes:
        number: the version's.
        digest: of its manifest, 64 hexadecimal digits.
        is_offered: whether devices are told to run it; of each model, one rollout at most is.
        revision: 1 at first, and one more for every change.
        deleted_at: None while it is shown.
    """

    id: str
    organisation: str
    model_id: str
    version_id: str
    number: str
    digest: str
    status: RolloutStatus
    rollout_percentage: float
    target_percentage: float
    increment_step: float
    is_offered: bool = False
    revision: int = 1
    created_at: datetime
    started_at: datetime | None = None
    completed_at: datetime | None = None
    deleted_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Attestation:
    """What a device said last that it runs of a model.

    Attributes:
        digest: of the manifest of the version, 64 hexadecimal digits.
        is_active: whether it runs; else `message` says why it cannot.
    """

    organisation: str
    device_id: str
    model_id: str
    number: str
    digest: str
    is_active: bool
    message: str | None
    attested_at: datetime
