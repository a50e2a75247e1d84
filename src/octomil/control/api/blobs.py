"""`/blobs`: what is kept, for those who look after the installation."""

from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Query, Security

from octomil.control.api.callers import caller_of
from octomil.control.api.idempotency import UNKEYED
from octomil.control.api.json_bodies import StrictJsonRoute
from octomil.control.api.parameters import DIGITS
from octomil.control.api.planes import Plane
from octomil.control.scopes import INSTALLATION
from octomil.control.services.callers import Caller
from octomil.control.services.garbage import GRACE
from octomil.control.threads import NOBODYS
from octomil.wire.uploads import Collected

_LEAST_GRACE_S = 3600
_MOST_GRACE_S = 366 * 86_400

router = APIRouter(prefix="/blobs", tags=["blobs"], route_class=StrictJsonRoute)


@router.post("/collect", dependencies=[UNKEYED])
async def collect(
    plane: Plane,
    caller: Annotated[Caller, Security(caller_of, scopes=[INSTALLATION])],
    grace_s: Annotated[
        int,
        Query(ge=_LEAST_GRACE_S, le=_MOST_GRACE_S, description="So long files stay."),
        DIGITS,
    ] = int(GRACE.total_seconds()),
) -> Collected:
    """Remove abandoned uploads, and files that no version refers to."""
    grace = timedelta(seconds=grace_s)
    return await plane.threads.work(NOBODYS, plane.garbage.collect_for, caller, grace)
