"""`/models/{id}/rollouts`, and what devices attest that they run."""

from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Security

from octomil.control.api.callers import ITSELF, caller_dependency
from octomil.control.api.json_bodies import StrictJsonRoute
from octomil.control.api.not_served import NOT_SERVED
from octomil.control.api.parameters import Limit, Offset, PathText
from octomil.control.moments import shown, shown_or_none
from octomil.control.plane import ControlPlane
from octomil.control.records import Attestation, Rollout, RolloutStatus
from octomil.control.scopes import DEVICES_WRITE, ROLLOUTS_READ, ROLLOUTS_WRITE
from octomil.control.services.callers import Caller
from octomil.registry.manifest import DIGEST_PREFIX
from octomil.wire.models import Deleted
from octomil.wire.rollouts import (
    AttestationRequest,
    AttestationView,
    RolloutRequest,
    RolloutView,
)


def rollouts_router(plane: ControlPlane) -> APIRouter:
    """Return the routes."""
    router = APIRouter(tags=["rollouts"], route_class=StrictJsonRoute)
    caller_of = caller_dependency(plane)
    service, threads = plane.rollouts, plane.threads

    @router.post("/models/{model_id}/rollouts", status_code=201, responses=NOT_SERVED)
    async def create(
        model_id: PathText,
        body: RolloutRequest,
        caller: Annotated[Caller, Security(caller_of, scopes=[ROLLOUTS_WRITE])],
    ) -> RolloutView:
        """Begin to bring a published version to the devices."""
        rollout = await threads.write(service.create, caller, model_id, body)
        await threads.afterwards(service.refresh)
        return view_of(rollout)

    @router.get("/models/{model_id}/rollouts")
    async def list_all(
        model_id: PathText,
        caller: Annotated[Caller, Security(caller_of, scopes=[ROLLOUTS_READ])],
        status_filter: RolloutStatus | None = None,
        limit: Limit = 100,
        offset: Offset = 0,
    ) -> Sequence[RolloutView]:
        """Return a model's rollouts, newest first."""
        found = await threads.read(
            service.list, caller, model_id, status_filter, limit=limit, offset=offset
        )
        return [view_of(*each) for each in found]

    @router.get("/models/{model_id}/rollouts/active")
    async def list_active(
        model_id: PathText, caller: Annotated[Caller, Security(caller_of, scopes=[ROLLOUTS_READ])]
    ) -> Sequence[RolloutView]:
        """Return a model's rollouts under way."""
        found = await threads.read(service.list, caller, model_id, RolloutStatus.ACTIVE, limit=1)
        return [view_of(*each) for each in found]

    @router.get("/models/{model_id}/rollouts/{rollout_id}")
    async def get(
        model_id: PathText,
        rollout_id: PathText,
        caller: Annotated[Caller, Security(caller_of, scopes=[ROLLOUTS_READ])],
    ) -> RolloutView:
        """Return a rollout, with how many devices run its version."""
        return view_of(*await threads.read(service.get, caller, model_id, rollout_id))

    @router.post("/models/{model_id}/rollouts/{rollout_id}/start")
    async def start(
        model_id: PathText,
        rollout_id: PathText,
        caller: Annotated[Caller, Security(caller_of, scopes=[ROLLOUTS_WRITE])],
    ) -> RolloutView:
        """Offer a pending rollout's version to the devices."""
        rollout = await threads.write(service.start, caller, model_id, rollout_id)
        await threads.afterwards(service.refresh)
        return view_of(rollout)

    @router.get("/models/{model_id}/rollouts/{rollout_id}/affected-devices")
    async def affected(
        model_id: PathText,
        rollout_id: PathText,
        caller: Annotated[Caller, Security(caller_of, scopes=[ROLLOUTS_READ])],
        limit: Limit = 100,
        offset: Offset = 0,
    ) -> Sequence[AttestationView]:
        """Return what devices attested about a rollout's version."""
        found = await threads.read(
            service.affected, caller, model_id, rollout_id, limit=limit, offset=offset
        )
        return [attestation_view_of(each) for each in found]

    @router.delete("/models/{model_id}/rollouts/{rollout_id}")
    async def delete(
        model_id: PathText,
        rollout_id: PathText,
        caller: Annotated[Caller, Security(caller_of, scopes=[ROLLOUTS_WRITE])],
        force: bool = False,
    ) -> Deleted:
        """Remove a rollout; devices are told to run what was rolled out before it."""
        await threads.write(service.delete, caller, model_id, rollout_id, force=force)
        await threads.afterwards(service.refresh)
        return Deleted(id=rollout_id)

    @router.post("/devices/{device_id}/attestations")
    async def attest(
        device_id: PathText,
        body: AttestationRequest,
        caller: Annotated[Caller, Security(caller_of, scopes=[DEVICES_WRITE, ITSELF])],
    ) -> AttestationView:
        """Take a device's word for what it runs."""
        return attestation_view_of(await threads.write(service.attest, caller, device_id, body))

    return router


def view_of(rollout: Rollout, devices: tuple[int, int] = (0, 0)) -> RolloutView:
    """Return a rollout as the API shows it.

    Args:
        rollout: what to show.
        devices: how many run its version, and how many cannot.
    """
    return RolloutView(
        id=rollout.id,
        model_id=rollout.model_id,
        version=rollout.number,
        digest=DIGEST_PREFIX + rollout.digest,
        status=rollout.status,
        rollout_percentage=rollout.rollout_percentage,
        target_percentage=rollout.target_percentage,
        increment_step=rollout.increment_step,
        active_devices=devices[0],
        failed_devices=devices[1],
        created_at=shown(rollout.created_at),
        started_at=shown_or_none(rollout.started_at),
        completed_at=shown_or_none(rollout.completed_at),
    )


def attestation_view_of(attestation: Attestation) -> AttestationView:
    """Return an attestation as the API shows it."""
    return AttestationView(
        device_id=attestation.device_id,
        model_id=attestation.model_id,
        version=attestation.number,
        digest=DIGEST_PREFIX + attestation.digest,
        status="active" if attestation.is_active else "failed",
        message=attestation.message,
        attested_at=shown(attestation.attested_at),
    )
