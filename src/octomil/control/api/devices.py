"""`/devices`: registered, seen, and told what to run."""

from datetime import UTC
from typing import Annotated

from fastapi import APIRouter, Query, Security

from octomil.control.api.callers import ITSELF, caller_of
from octomil.control.api.idempotency import UNKEYED
from octomil.control.api.json_bodies import StrictJsonRoute
from octomil.control.api.parameters import DIGITS, PathText
from octomil.control.api.planes import Plane
from octomil.control.plane import ControlPlane
from octomil.control.scopes import DEVICES_READ, DEVICES_REGISTER, DEVICES_WRITE
from octomil.control.services.callers import Caller
from octomil.control.services.devices import view_of
from octomil.wire.devices import (
    MAX_WAIT_S,
    AssignmentsAnswer,
    DeviceRegistration,
    DeviceView,
    HeartbeatAnswer,
    HeartbeatRequest,
)

MAX_VERSION = 2**63 - 1

_WAIT = (
    "Seconds that a device's own poll without news is held until there is some; it may be answered "
    "earlier. A key's is answered at once."
)

router = APIRouter(prefix="/devices", tags=["devices"], route_class=StrictJsonRoute)


@router.post("/register")
async def register(
    plane: Plane,
    body: DeviceRegistration,
    caller: Annotated[Caller, Security(caller_of, scopes=[DEVICES_REGISTER])],
) -> DeviceView:
    """Register a device; the same identifier is the same device, brought up to date."""
    return view_of(await plane.threads.write(plane.devices.register, caller, body))


@router.get("/{device_id}")
async def get(
    plane: Plane,
    device_id: PathText,
    caller: Annotated[Caller, Security(caller_of, scopes=[DEVICES_READ, ITSELF])],
) -> DeviceView:
    """Return a device."""
    return view_of(await plane.threads.read(plane.devices.get, caller, device_id))


@router.post("/{device_id}/heartbeat", dependencies=[UNKEYED])
async def heartbeat(
    plane: Plane,
    device_id: PathText,
    caller: Annotated[Caller, Security(caller_of, scopes=[DEVICES_WRITE, ITSELF])],
    body: HeartbeatRequest | None = None,
) -> HeartbeatAnswer:
    """Note that a device is there."""
    await _require_device(plane, caller, device_id)
    plane.last_seen.note(device_id)
    now = plane.clock().astimezone(UTC).isoformat()
    sent = body.metadata if body is not None else None
    return HeartbeatAnswer(status="ok", server_time=now, metadata=sent or {})


@router.get("/{device_id}/assignments")
async def assignments(
    plane: Plane,
    device_id: PathText,
    caller: Annotated[Caller, Security(caller_of, scopes=[DEVICES_READ, ITSELF])],
    config_version: Annotated[int | None, Query(ge=0, le=MAX_VERSION), DIGITS] = None,
    _wait_s: Annotated[float, Query(alias="wait_s", ge=0, le=MAX_WAIT_S, description=_WAIT)] = 0.0,
) -> AssignmentsAnswer:
    """Return what a device is to run; with `wait_s`, a device's token may wait for news."""
    await _require_device(plane, caller, device_id)
    plane.last_seen.note(device_id)
    return plane.plans.answer(caller.organisation, device_id, config_version)


async def _require_device(plane: ControlPlane, caller: Caller, device_id: str) -> None:
    """Return if there is such a device, for all the caller may know.

    A token proves by itself that its device is there; for a key, somebody must look.
    """
    if caller.device_id is None:
        await plane.threads.read(plane.devices.get, caller, device_id)
    else:
        caller.require_device(device_id)
