"""`/organisations`: who owns things."""

from typing import Annotated

from fastapi import APIRouter, Security

from octomil.control.api.callers import caller_of
from octomil.control.api.idempotency import SECRET
from octomil.control.api.json_bodies import StrictJsonRoute
from octomil.control.api.pages import DEFAULT_LIMIT, Cursor, PageLimit
from octomil.control.api.parameters import PathText
from octomil.control.api.planes import Plane
from octomil.control.scopes import INSTALLATION, ORGANISATION_READ
from octomil.control.services.callers import Caller
from octomil.wire.organisations import (
    CreateOrganisation,
    OrganisationCreated,
    OrganisationPage,
    OrganisationView,
)

router = APIRouter(prefix="/organisations", tags=["organisations"], route_class=StrictJsonRoute)
_Admin = Annotated[Caller, Security(caller_of, scopes=[INSTALLATION])]


@router.post("", status_code=201, dependencies=[SECRET])
async def create(plane: Plane, body: CreateOrganisation, caller: _Admin) -> OrganisationCreated:
    """Make an organisation and its first key, whose text is shown this once."""
    return await plane.threads.write(plane.organisations.create, caller, body)


@router.get("")
async def list_all(
    plane: Plane, _caller: _Admin, cursor: Cursor = None, limit: PageLimit = DEFAULT_LIMIT
) -> OrganisationPage:
    """List all organisations, by their ids."""
    return await plane.threads.read(plane.organisations.page, cursor, limit)


@router.get("/{organisation_id}")
async def get(
    plane: Plane,
    organisation_id: PathText,
    caller: Annotated[Caller, Security(caller_of, scopes=[ORGANISATION_READ])],
) -> OrganisationView:
    """Return the caller's organisation, or any for an admin of the installation."""
    return await plane.threads.read(plane.organisations.get, caller, organisation_id)
