"""`/inference/events`: what clients tell of generations."""

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Security
from pydantic import BeforeValidator

from octomil.control.api.callers import caller_of
from octomil.control.api.idempotency import UNKEYED
from octomil.control.api.planes import Plane
from octomil.control.api.unprocessable import UnprocessableRoute
from octomil.control.scopes import INFERENCE
from octomil.control.services.callers import Caller
from octomil.wire.inference_events import EventsTaken, InferenceEvent, InferenceEvents

router = APIRouter(prefix="/inference", tags=["quality"], route_class=UnprocessableRoute)


def _as_list(body: Any) -> Any:
    """Return one event as a list of one, and anything else as it is."""
    is_one = isinstance(body, Mapping) and "events" not in body
    return {"events": [body]} if is_one else body


_OneOrSeveral = BeforeValidator(_as_list, json_schema_input_type=InferenceEvents | InferenceEvent)


@router.post("/events", dependencies=[UNKEYED])
async def take_events(
    plane: Plane,
    body: Annotated[InferenceEvents, _OneOrSeveral],
    caller: Annotated[Caller, Security(caller_of, scopes=[INFERENCE])],
) -> EventsTaken:
    """Count what happened to generations: one event, or several as `events`; each counts once."""
    return await plane.threads.write(plane.inference_events.take, caller, body)
