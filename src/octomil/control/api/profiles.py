"""`/devices/{device_id}/profile`: what a device measured of itself."""

from typing import Annotated

from fastapi import APIRouter, Security

from octomil.control.api.callers import ITSELF, caller_of
from octomil.control.api.json_bodies import StrictJsonRoute
from octomil.control.api.parameters import PathText
from octomil.control.api.planes import Plane
from octomil.control.scopes import DEVICES_READ, DEVICES_WRITE
from octomil.control.services.callers import Caller
from octomil.control.services.profiles import view_of
from octomil.wire.placement import ProfileUpload, ProfileView

_PATH = "/{device_id}/profile"

router = APIRouter(prefix="/devices", tags=["devices"], route_class=StrictJsonRoute)


@router.put(_PATH)
async def put(
    plane: Plane,
    device_id: PathText,
    body: ProfileUpload,
    caller: Annotated[Caller, Security(caller_of, scopes=[DEVICES_WRITE, ITSELF])],
) -> ProfileView:
    """Keep what a device measured of itself, in place of what it measured before."""
    return view_of(await plane.threads.write(plane.profiles.put, caller, device_id, body))


@router.get(_PATH)
async def get(
    plane: Plane,
    device_id: PathText,
    caller: Annotated[Caller, Security(caller_of, scopes=[DEVICES_READ, ITSELF])],
) -> ProfileView:
    """Return what a device measured of itself."""
    return view_of(await plane.threads.read(plane.profiles.get, caller, device_id))
