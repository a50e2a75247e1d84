"""Rollouts, and what belongs to them, as stores keep them."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from octomil.control.records import (
    EMPTY_PROFILE,
    Attestation,
    Device,
    ManifestKey,
    Model,
    Rollout,
    RolloutDevice,
    Version,
)
from octomil.registry.lifecycle import VersionState
from octomil.rollouts import commands
from octomil.rollouts.device_states import DeviceProgress, DeviceState
from octomil.rollouts.plan import Pacing, Plan
from octomil.rollouts.states import Progress, RolloutState, Transition

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
DIGEST = "ab" * 32
BEFORE = "cd" * 32


def device(number: int, owner: str = "acme") -> Device:
    """A device."""
    return Device(
        id=f"dev_{owner}_{number}", organisation=owner, identifier=f"box-{number}",
        profile=EMPTY_PROFILE, generation=0, created_at=NOW, updated_at=NOW,
    )  # fmt: skip


def rollout(number: int = 1, owner: str = "acme", **changes: Any) -> Rollout:
    """A rollout that nobody has started."""
    made = Rollout(
        id=f"rol_{number}", organisation=owner, model_id=f"mdl_{owner}", ordinal=number,
        version_id=f"ver_{number}", number=f"{number}.0.0", digest=DIGEST, created_at=NOW,
        plan=Plan(increment_step=12.5, pacing=Pacing(first_percentage=0.125)),
    )  # fmt: skip
    return replace(made, **changes)


def started(made: Rollout) -> Transition:
    """What starts a rollout."""
    transition = commands.start(made.plan, made.progress, now=NOW, actor="ann", reason="time")
    assert transition is not None
    return transition


def at(state: RolloutState, share: float) -> Progress:
    """Where a rollout stands that is no more at its beginning."""
    return Progress(
        state=state, step=1, percentage=share, offered_percentage=share, began_at=NOW,
        widened_at=NOW, revision=2,
    )  # fmt: skip


def attestation(number: int, owner: str = "acme", **changes: Any) -> Attestation:
    """What a device says that it runs."""
    made = Attestation(
        organisation=owner, device_id=f"dev_{owner}_{number}", model_id=f"mdl_{owner}",
        number="1.0.0", digest=DIGEST, is_active=True, message=None, attested_at=NOW, since=NOW,
    )  # fmt: skip
    return replace(made, **changes)


def signing_key(owner: str, number: int = 1) -> ManifestKey:
    """A key that signs."""
    return ManifestKey(
        id=f"{owner}-{number}", private=bytes(32), public=b"p" * 32, created_at=NOW,
        endorsed_by=None, endorsement=None,
    )  # fmt: skip


def model(owner: str, name: str) -> Model:
    """A model."""
    return Model(
        id=f"mdl_{owner}_{name}", organisation=owner, name=name, metadata={}, created_at=NOW,
        updated_at=NOW,
    )  # fmt: skip


def version_of(made: Rollout) -> Version:
    """The version that a rollout is of."""
    return Version(
        id=made.version_id, organisation=made.organisation, model_id=made.model_id,
        number=made.number, state=VersionState.PUBLISHED, metrics={}, created_at=NOW,
        updated_at=NOW,
    )  # fmt: skip


def taken(
    number: int, state: DeviceState = DeviceState.CONFIRMING, **changes: Any
) -> RolloutDevice:
    """Where a device stands that took the version of `rol_1`."""
    progress = DeviceProgress(
        digest=DIGEST, generation=1, state=state, reached=DeviceState.CONFIRMING, since=NOW
    )
    made = RolloutDevice(
        organisation="acme", rollout_id="rol_1", device_id=f"dev_acme_{number}",
        progress=progress, taken_at=NOW, is_counted=True,
    )  # fmt: skip
    return replace(made, **changes)
