"""`/devices/{id}/routing` and `/routing`: what serving nodes did, told by them and read here."""

from typing import Annotated

from fastapi import APIRouter, Query, Security

from octomil.control.api.callers import ITSELF, caller_of
from octomil.control.api.idempotency import UNKEYED
from octomil.control.api.json_bodies import StrictJsonRoute
from octomil.control.api.parameters import DIGITS, Moment, PathText, QueryText
from octomil.control.api.planes import Plane
from octomil.control.scopes import DEVICES_READ, DEVICES_WRITE
from octomil.control.services.callers import Caller
from octomil.control.services.routing_series import SeriesQuery
from octomil.wire.routing_series import (
    RoutingReceipt,
    RoutingReport,
    RoutingSeriesView,
    RoutingSummaryView,
)

router = APIRouter(tags=["routing"], route_class=StrictJsonRoute)

_Reader = Annotated[Caller, Security(caller_of, scopes=[DEVICES_READ])]
_Since = Annotated[Moment | None, Query(description="Where that begins, in whole steps.")]
_Until = Annotated[Moment | None, Query(description="Where it ends; now by default.")]


@router.post("/devices/{device_id}/routing", dependencies=[UNKEYED])
async def report_routing(
    plane: Plane,
    device_id: PathText,
    body: RoutingReport,
    caller: Annotated[Caller, Security(caller_of, scopes=[DEVICES_WRITE, ITSELF])],
) -> RoutingReceipt:
    """Count what a serving node did, minute by minute; each number of its spool counts once."""
    return await plane.threads.write(plane.routing_reports.report, caller, device_id, body)


@router.get("/routing/series")
async def series(
    plane: Plane,
    caller: _Reader,
    device_id: QueryText = None,
    model: QueryText = None,
    tier: Annotated[int | None, Query(ge=0, le=3), DIGITS] = None,
    since: _Since = None,
    until: _Until = None,
    step: Annotated[
        int, Query(ge=60, le=31 * 86_400, description="Seconds; a multiple of 60."), DIGITS
    ] = 60,
) -> RoutingSeriesView:
    """Return what nodes did over time: by minutes for a day, by hours for 90."""
    wanted = SeriesQuery(device_id=device_id, model=model, tier=tier, step_s=step)
    return await plane.threads.read(plane.routing_series.series, caller, wanted, since, until)


@router.get("/routing/summary")
async def summary(
    plane: Plane, caller: _Reader, since: _Since = None, until: _Until = None
) -> RoutingSummaryView:
    """Return what all nodes of the organisation did, in the last day by default."""
    return await plane.threads.read(plane.routing_series.summary, caller, since, until)
