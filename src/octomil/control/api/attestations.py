"""`/devices/{id}/attestations` and `/stages`: what devices say that they run, or are about to."""

from typing import Annotated

from fastapi import APIRouter, Security

from octomil.control.api.callers import ITSELF, caller_of
from octomil.control.api.idempotency import UNKEYED
from octomil.control.api.json_bodies import StrictJsonRoute
from octomil.control.api.parameters import PathText
from octomil.control.api.planes import Plane
from octomil.control.api.rollout_views import attestation_view
from octomil.control.scopes import DEVICES_WRITE
from octomil.control.services.callers import Caller
from octomil.wire.rollouts import AttestationRequest, AttestationView, StageRequest, StageView

router = APIRouter(tags=["devices"], route_class=StrictJsonRoute)


@router.post("/devices/{device_id}/attestations")
async def attest(
    plane: Plane,
    device_id: PathText,
    body: AttestationRequest,
    caller: Annotated[Caller, Security(caller_of, scopes=[DEVICES_WRITE, ITSELF])],
) -> AttestationView:
    """Take a device's word for what it runs."""
    return attestation_view(
        *await plane.threads.write(plane.attestations.attest, caller, device_id, body)
    )


@router.post("/devices/{device_id}/stages", dependencies=[UNKEYED])
async def tell_stage(
    plane: Plane,
    device_id: PathText,
    body: StageRequest,
    caller: Annotated[Caller, Security(caller_of, scopes=[DEVICES_WRITE, ITSELF])],
) -> StageView:
    """Note how far a device is with a version; people see it some seconds later."""
    is_noted = await plane.threads.read(plane.stages.tell, caller, device_id, body)
    return StageView(
        device_id=device_id, model_id=body.model_id, stage=body.stage, is_noted=is_noted
    )
