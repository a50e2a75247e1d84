"""`/devices/{id}/usage`: what devices did with the versions that they run."""

from typing import Annotated

from fastapi import APIRouter, Security

from octomil.control.api.callers import ITSELF, caller_of
from octomil.control.api.json_bodies import StrictJsonRoute
from octomil.control.api.parameters import PathText
from octomil.control.api.planes import Plane
from octomil.control.scopes import DEVICES_WRITE
from octomil.control.services.callers import Caller
from octomil.wire.usage import UsageReport, UsageView

router = APIRouter(tags=["devices"], route_class=StrictJsonRoute)


@router.post("/devices/{device_id}/usage")
async def report_usage(
    plane: Plane,
    device_id: PathText,
    body: UsageReport,
    caller: Annotated[Caller, Security(caller_of, scopes=[DEVICES_WRITE, ITSELF])],
) -> UsageView:
    """Count what a device did since its last report; the gates of rollouts compare it."""
    return await plane.threads.write(plane.usage.report, caller, device_id, body)
