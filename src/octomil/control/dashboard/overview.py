"""What the page at `/` shows: the line from models to the devices that run them."""

from collections.abc import Sequence
from dataclasses import dataclass

from octomil.control.plane import ControlPlane
from octomil.control.records import Attestation, DeviceFilter, Model, Rollout, Version
from octomil.control.scopes import DEVICES_READ, MODELS_READ, ROLLOUTS_READ
from octomil.control.services.callers import Caller
from octomil.wire.devices import DeviceView

SCOPES = (MODELS_READ, ROLLOUTS_READ, DEVICES_READ)
"""What one needs to see it."""

_MODELS, _VERSIONS, _DEVICES, _ATTESTED = 50, 5, 100, 20


@dataclass(frozen=True, slots=True, kw_only=True)
class RolloutLine:
    """A rollout, and what devices attest about its version.

    Attributes:
        active: how many run it.
        failed: how many cannot.
        attestations: the words of some of them.
    """

    rollout: Rollout
    active: int
    failed: int
    attestations: Sequence[Attestation]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelLine:
    """A model with its youngest versions and its rollouts."""

    model: Model
    versions: Sequence[Version]
    rollouts: Sequence[RolloutLine]


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """All of it, or its beginning: `more_devices` says whether some are left out."""

    organisation: str
    models: Sequence[ModelLine]
    devices: Sequence[DeviceView]
    more_devices: bool

    def name_of(self, device_id: str) -> str:
        """Return what a device calls itself; its id where it is none of those here."""
        names = (each.device_identifier for each in self.devices if each.id == device_id)
        return next(names, device_id)


def overview_of(plane: ControlPlane, caller: Caller) -> Overview:
    """Return what a caller may see.

    Raises:
        ForbiddenError: it lacks one of `SCOPES`.
    """
    for scope in SCOPES:
        caller.require(scope)
    models = plane.models.list(caller, {}, limit=_MODELS, offset=0)
    page = plane.fleet.page(caller, DeviceFilter(), None, _DEVICES)
    return Overview(
        organisation=caller.organisation,
        models=[_line(plane, caller, model) for model in models],
        devices=page.devices,
        more_devices=page.next_cursor is not None,
    )


def _line(plane: ControlPlane, caller: Caller, model: Model) -> ModelLine:
    found = plane.rollouts.list(caller, model.id, None, limit=_VERSIONS)
    rollouts = [
        RolloutLine(
            rollout=rollout,
            active=active,
            failed=failed,
            attestations=_attested(plane, caller, rollout),
        )
        for rollout, (active, failed) in found
    ]
    versions = plane.versions.list(caller, model.id, state=None, limit=_VERSIONS, offset=0)
    return ModelLine(model=model, versions=versions, rollouts=rollouts)


def _attested(plane: ControlPlane, caller: Caller, rollout: Rollout) -> Sequence[Attestation]:
    found = plane.rollouts.affected(caller, rollout.model_id, rollout.id, None, _ATTESTED)
    return [said for _, said in found.devices if said is not None and said.digest == rollout.digest]
