"""`/devices`, as whoever runs the fleet uses it: listed, labelled, revoked, removed."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Security

from octomil.control.api.callers import caller_of
from octomil.control.api.json_bodies import StrictJsonRoute
from octomil.control.api.pages import DEFAULT_LIMIT, Cursor, PageLimit
from octomil.control.api.parameters import Moment, PathText
from octomil.control.api.planes import Plane
from octomil.control.moments import in_utc
from octomil.control.records import DeviceFilter
from octomil.control.scopes import DEVICES_READ, DEVICES_WRITE
from octomil.control.services.callers import Caller
from octomil.control.services.devices import view_of
from octomil.wire.devices import (
    DeviceChange,
    DevicePage,
    DeviceRemoved,
    DeviceRevoked,
    DeviceView,
    GroupName,
)
from octomil.wire.texts import Identifier, Label, Matches

MAX_FILTERED_LABELS = 8


_PAIR = Matches(r"^[A-Za-z0-9][A-Za-z0-9._/-]{0,62}=[^\u0000-\u001f\u007f-\u009f]{0,63}$")
_LabelPair = Annotated[str, _PAIR]


def device_filter(
    platform: Label | None = None,
    label: Annotated[
        list[_LabelPair],
        Query(max_length=MAX_FILTERED_LABELS, description="`NAME=VALUE`; repeated, all must hold."),
    ] = [],  # noqa: B006 - FastAPI copies it
    group: GroupName | None = None,
    seen_after: Annotated[
        Moment | None, Query(description="Last seen then or later; the latest come first.")
    ] = None,
    seen_before: Annotated[
        Moment | None, Query(description="Last seen before; the latest come first.")
    ] = None,
    text: Annotated[
        Identifier | None, Query(description="What the identifier begins with; sorted by it.")
    ] = None,
) -> DeviceFilter:
    """Read the filters of a list."""
    pairs = (pair.partition("=") for pair in label)
    return DeviceFilter(
        platform=platform,
        labels={name: value for name, _, value in pairs},
        group=group,
        seen_after=None if seen_after is None else in_utc(seen_after),
        seen_before=None if seen_before is None else in_utc(seen_before),
        text=text,
    )


router = APIRouter(prefix="/devices", tags=["devices"], route_class=StrictJsonRoute)
_Writer = Annotated[Caller, Security(caller_of, scopes=[DEVICES_WRITE])]


@router.get("")
async def list_all(
    plane: Plane,
    caller: Annotated[Caller, Security(caller_of, scopes=[DEVICES_READ])],
    wanted: Annotated[DeviceFilter, Depends(device_filter)],
    cursor: Cursor = None,
    limit: PageLimit = DEFAULT_LIMIT,
) -> DevicePage:
    """List devices, the youngest first unless a filter has an order of its own."""
    return await plane.threads.read(plane.fleet.page, caller, wanted, cursor, limit)


@router.patch("/{device_id}")
async def change(
    plane: Plane, device_id: PathText, body: DeviceChange, caller: _Writer
) -> DeviceView:
    """Change a device's labels and groups."""
    return view_of(await plane.threads.write(plane.fleet.change, caller, device_id, body))


@router.delete("/{device_id}")
async def remove(plane: Plane, device_id: PathText, caller: _Writer) -> DeviceRemoved:
    """Forget a device, and end its tokens."""
    return await plane.threads.write(plane.fleet.remove, caller, device_id)


@router.post("/{device_id}/revoke")
async def revoke(plane: Plane, device_id: PathText, caller: _Writer) -> DeviceRevoked:
    """End all tokens of a device, in every replica within seconds."""
    return await plane.threads.write(plane.fleet.revoke, caller, device_id)
