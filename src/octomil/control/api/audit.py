"""`/audit`: what was done in the caller's organisation."""

from typing import Annotated

from fastapi import APIRouter, Security

from octomil.control.api.callers import caller_dependency
from octomil.control.api.json_bodies import StrictJsonRoute
from octomil.control.api.pages import DEFAULT_LIMIT, Cursor, PageLimit
from octomil.control.plane import ControlPlane
from octomil.control.scopes import AUDIT_READ
from octomil.control.services.callers import Caller
from octomil.control.turns import Turns
from octomil.wire.audit import AuditPage, AuditVerdict


def audit_router(plane: ControlPlane) -> APIRouter:
    """Return the routes."""
    router = APIRouter(prefix="/audit", tags=["audit"], route_class=StrictJsonRoute)
    caller_of = caller_dependency(plane)
    turns = Turns()

    @router.get("")
    async def page(
        caller: Annotated[Caller, Security(caller_of, scopes=[AUDIT_READ])],
        cursor: Cursor = None,
        limit: PageLimit = DEFAULT_LIMIT,
    ) -> AuditPage:
        """List what was done, the latest first."""
        return await plane.threads.read(plane.audit.page, caller, cursor, limit)

    @router.get("/verify")
    async def verify(
        caller: Annotated[Caller, Security(caller_of, scopes=[AUDIT_READ])],
    ) -> AuditVerdict:
        """Tell whether every record is whole and in its place."""
        # A long chain keeps one of the few threads that read for seconds: one walk at a time, and
        # of each organisation one in the queue, so that nobody waits for another's many.
        async with turns.of(f"audit of {caller.organisation}"), turns.of("audits"):
            return await plane.threads.read(plane.audit.verify, caller)

    return router
