"""`/audit`: what was done in the caller's organisation."""

from typing import Annotated

from fastapi import APIRouter, Security

from octomil.control.api.callers import caller_of
from octomil.control.api.json_bodies import StrictJsonRoute
from octomil.control.api.pages import DEFAULT_LIMIT, Cursor, PageLimit
from octomil.control.api.planes import Plane
from octomil.control.scopes import AUDIT_READ
from octomil.control.services.callers import Caller
from octomil.wire.audit import AuditPage, AuditVerdict

router = APIRouter(prefix="/audit", tags=["audit"], route_class=StrictJsonRoute)
_Reader = Annotated[Caller, Security(caller_of, scopes=[AUDIT_READ])]


@router.get("")
async def page(
    plane: Plane, caller: _Reader, cursor: Cursor = None, limit: PageLimit = DEFAULT_LIMIT
) -> AuditPage:
    """List what was done, the latest first."""
    return await plane.threads.read(plane.audit.page, caller, cursor, limit)


@router.get("/verify")
async def verify(plane: Plane, caller: _Reader) -> AuditVerdict:
    """Tell whether every record is whole and in its place."""
    async with plane.audit.turn(caller):
        return await plane.threads.read(plane.audit.verify, caller)
