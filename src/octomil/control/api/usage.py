"""`/devices/{id}/usage`: what devices did with the versions that they run."""

from typing import Annotated

from fastapi import APIRouter, Security

from octomil.control.api.callers import ITSELF, caller_dependency
from octomil.control.api.json_bodies import StrictJsonRoute
from octomil.control.api.parameters import PathText
from octomil.control.plane import ControlPlane
from octomil.control.scopes import DEVICES_WRITE
from octomil.control.services.callers import Caller
from octomil.wire.usage import UsageReport, UsageView


def usage_router(plane: ControlPlane) -> APIRouter:
    """Return the routes."""
    router = APIRouter(tags=["devices"], route_class=StrictJsonRoute)
    caller_of = caller_dependency(plane)

    @router.post("/devices/{device_id}/usage")
    async def report_usage(
        device_id: PathText,
        body: UsageReport,
        caller: Annotated[Caller, Security(caller_of, scopes=[DEVICES_WRITE, ITSELF])],
    ) -> UsageView:
        """Count what a device did since its last report; the gates of rollouts compare it."""
        return await plane.threads.write(plane.usage.report, caller, device_id, body)

    return router
