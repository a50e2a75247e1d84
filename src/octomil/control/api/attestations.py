"""`/devices/{id}/attestations`: what devices say that they run."""

from typing import Annotated

from fastapi import APIRouter, Security

from octomil.control.api.callers import ITSELF, caller_dependency
from octomil.control.api.json_bodies import StrictJsonRoute
from octomil.control.api.parameters import PathText
from octomil.control.api.rollout_views import attestation_view
from octomil.control.plane import ControlPlane
from octomil.control.scopes import DEVICES_WRITE
from octomil.control.services.callers import Caller
from octomil.wire.rollouts import AttestationRequest, AttestationView


def attestations_router(plane: ControlPlane) -> APIRouter:
    """Return the routes."""
    router = APIRouter(tags=["devices"], route_class=StrictJsonRoute)
    caller_of = caller_dependency(plane)

    @router.post("/devices/{device_id}/attestations")
    async def attest(
        device_id: PathText,
        body: AttestationRequest,
        caller: Annotated[Caller, Security(caller_of, scopes=[DEVICES_WRITE, ITSELF])],
    ) -> AttestationView:
        """Take a device's word for what it runs."""
        return attestation_view(
            *await plane.threads.write(plane.attestations.attest, caller, device_id, body)
        )

    return router
