"""What a fleet is told to run: models that are released to all, and some that are on their way."""

from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final

from octomil.compose_control import DEFAULT_ORGANISATION
from octomil.control.identifiers import new_id
from octomil.control.plane import ControlPlane
from octomil.control.records import Model, Version
from octomil.control.scopes import ALL_SCOPES
from octomil.control.services.callers import Caller
from octomil.control.services.signing_keys import current_key
from octomil.registry.lifecycle import VersionState
from octomil.wire.rollout_plans import PacingRequest
from octomil.wire.rollouts import AdvanceRequest, RolloutRequest

MODELS: Final = 20
SHARES: Final = (10, 20, 30, 40, 50)
"""Percent of the devices that are offered a second version, of as many of the models."""

_CALLER = Caller(DEFAULT_ORGANISATION, "key:bench", (ALL_SCOPES,))
_AT_ONCE = PacingRequest(first_percentage=100)
"""All of a step at once, and its gates come to no verdict: the plan stays while it is measured."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """What devices are told.

    Attributes:
        number: of the plan, as a device says that it has it.
        running: rollouts under way.
    """

    number: int
    running: int

    def __str__(self) -> str:
        return f"{MODELS} models, {self.running} rollouts under way"


def plan_releases(plane: ControlPlane) -> Planned:
    """Release `MODELS` models to all devices, and begin the rollouts of some second versions."""
    for number in range(MODELS):
        model_id = _released(plane, f"model-{number:02}")
        done = plane.rollouts.create(_CALLER, model_id, _to(100, "1.0.0"))
        plane.rollouts.advance(_CALLER, model_id, done.id, AdvanceRequest(reason="completed"))
        if number < len(SHARES):
            plane.rollouts.create(_CALLER, model_id, _to(SHARES[number], "2.0.0"))
    plane.offers.refresh()
    under_way = plane.orchestrator.steered()
    return Planned(number=plane.plans.of(DEFAULT_ORGANISATION).number, running=len(under_way))


def _to(share: float, version: str) -> RolloutRequest:
    return RolloutRequest(
        version=version, rollout_percentage=share, start_immediately=True, pacing=_AT_ONCE
    )


def _released(plane: ControlPlane, name: str) -> str:
    """Add a model with two published versions, without files: nobody fetches them here."""
    now = plane.clock()
    own: dict[str, Any] = {
        "organisation": DEFAULT_ORGANISATION, "created_at": now, "updated_at": now,
    }  # fmt: skip
    model = Model(id=new_id("mdl", now), name=name, metadata={}, **own)
    with plane.store.transaction(DEFAULT_ORGANISATION) as tx:
        current_key(tx, now)
        assert tx.models.add(model)
        for number in ("1.0.0", "2.0.0"):
            version = Version(
                id=new_id("ver", now), model_id=model.id, number=number, metrics={},
                state=VersionState.PUBLISHED, published_at=now,
                digest=sha256(f"{name} {number}".encode()).hexdigest(), **own,
            )  # fmt: skip
            assert tx.versions.add(version)
    return model.id
