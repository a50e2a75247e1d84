"""`/route`: where a model runs for a device, and what was decided so far."""

from typing import Annotated

from fastapi import APIRouter, Security

from octomil.control.api.callers import caller_of
from octomil.control.api.idempotency import UNKEYED
from octomil.control.api.parameters import PathText
from octomil.control.api.planes import Plane
from octomil.control.api.unprocessable import UnprocessableRoute
from octomil.control.scopes import INFERENCE, MODELS_READ
from octomil.control.services.callers import Caller
from octomil.control.services.placement import speed_query
from octomil.wire.placement import RouteDecision, RouteRequest, RouteStats

router = APIRouter(prefix="/route", tags=["placement"], route_class=UnprocessableRoute)


@router.post("", dependencies=[UNKEYED])
async def decide(
    plane: Plane,
    body: RouteRequest,
    caller: Annotated[Caller, Security(caller_of, scopes=[INFERENCE])],
) -> RouteDecision:
    """Decide whether a device or the cloud runs a model."""
    query = speed_query(caller, body)
    measured = plane.speeds.remembered(query)
    if measured is None:
        measured = await plane.threads.read(plane.speeds.look_up, query)
    return plane.placement.decide(caller, body, measured)


@router.get("/stats/{model_id}")
async def stats(
    plane: Plane,
    model_id: PathText,
    caller: Annotated[Caller, Security(caller_of, scopes=[MODELS_READ])],
) -> RouteStats:
    """Return how often each target was decided on for a model, and why."""
    await plane.write_down(plane.route_counts)
    return await plane.threads.read(plane.placement.stats, caller, model_id)
