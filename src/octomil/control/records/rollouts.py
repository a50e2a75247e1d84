"""Rollouts, and what devices attest that they run."""

from dataclasses import dataclass, field
from datetime import datetime

from octomil.rollouts.buckets import is_included
from octomil.rollouts.device_states import DeviceProgress
from octomil.rollouts.plan import Plan
from octomil.rollouts.states import Progress, RolloutState


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollout:
    """A version's way to the devices.

    Attributes:
        ordinal: 1 for the first of its model; a later one wins over those before it.
        number: the version's.
        digest: of its manifest, 64 hexadecimal digits.
        plan: what it is to do.
        progress: where it stands; its revision is one more for every change.
        deleted_at: None while it is shown.
    """

    id: str
    organisation: str
    model_id: str
    ordinal: int
    version_id: str
    number: str
    digest: str
    plan: Plan = field(default_factory=Plan)
    progress: Progress = field(default_factory=Progress)
    created_at: datetime
    started_at: datetime | None = None
    completed_at: datetime | None = None
    deleted_at: datetime | None = None

    @property
    def state(self) -> RolloutState:
        """Where it stands, in one word."""
        return self.progress.state

    @property
    def is_withdrawn(self) -> bool:
        """Whether devices went back from its version, and it expects nothing more of them."""
        is_taken_back = self.state in (RolloutState.ROLLED_BACK, RolloutState.FAILED)
        return is_taken_back or self.deleted_at is not None

    def offers(self, device_id: str) -> bool:
        """Tell whether a device is in the share that is offered its version."""
        return is_included(self.id, device_id, self.progress.offered_percentage)


@dataclass(frozen=True, slots=True, kw_only=True)
class RolloutDevice:
    """Where a device stands with a rollout whose version it took, or is on its way to.

    Attributes:
        taken_at: when the control plane first heard that it runs the version, or cannot; before
            that, that it is on its way.
        is_counted: whether it is evidence: it attested what it ran before, and was healthy.
    """

    organisation: str
    rollout_id: str
    device_id: str
    progress: DeviceProgress
    taken_at: datetime
    is_counted: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Attestation:
    """What a device said last that it runs of a model.

    Attributes:
        digest: of the manifest of the version, 64 hexadecimal digits.
        is_active: whether it runs; else `message` says why it cannot.
        attested_at: when it said so last.
        since: when it said so first, of this digest, with nothing else in between.
    """

    organisation: str
    device_id: str
    model_id: str
    number: str
    digest: str
    is_active: bool
    message: str | None
    attested_at: datetime
    since: datetime
