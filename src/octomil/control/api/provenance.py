"""What a version is and where it comes from: its manifest, its lineage."""

from typing import Annotated

from fastapi import APIRouter, Security

from octomil.control.api.callers import caller_of
from octomil.control.api.json_bodies import StrictJsonRoute
from octomil.control.api.parameters import Limit, PathText
from octomil.control.api.planes import Plane
from octomil.control.scopes import MODELS_READ, MODELS_WRITE
from octomil.control.services.callers import Caller
from octomil.control.services.versions import view_of
from octomil.wire.versions import (
    ManifestView,
    ParentsUpdate,
    RelativeList,
    VersionView,
)

_VERSION = "/models/{model_id}/versions/{version}"

router = APIRouter(tags=["provenance"], route_class=StrictJsonRoute)
_Reader = Annotated[Caller, Security(caller_of, scopes=[MODELS_READ])]


@router.get(f"{_VERSION}/manifest")
async def manifest(
    plane: Plane, model_id: PathText, version: PathText, caller: _Reader
) -> ManifestView:
    """Return what a version was published as, signed."""
    return await plane.threads.read(plane.publication.manifest, caller, model_id, version)


@router.put(f"{_VERSION}/parents")
async def set_parents(
    plane: Plane,
    model_id: PathText,
    version: PathText,
    body: ParentsUpdate,
    caller: Annotated[Caller, Security(caller_of, scopes=[MODELS_WRITE])],
) -> VersionView:
    """Say which versions a version comes from."""
    changed = await plane.threads.write(
        plane.lineage.set_parents, caller, model_id, version, body.parents
    )
    return view_of(changed)


@router.get(f"{_VERSION}/ancestors")
async def ancestors(
    plane: Plane, model_id: PathText, version: PathText, caller: _Reader, limit: Limit = 100
) -> RelativeList:
    """Return what a version comes from, nearest first."""
    found = await plane.threads.read(
        plane.lineage.ancestors, caller, model_id, version, limit=limit
    )
    return RelativeList(versions=list(found))


@router.get(f"{_VERSION}/descendants")
async def descendants(
    plane: Plane, model_id: PathText, version: PathText, caller: _Reader, limit: Limit = 100
) -> RelativeList:
    """Return what comes from a version, nearest first."""
    found = await plane.threads.read(
        plane.lineage.descendants, caller, model_id, version, limit=limit
    )
    return RelativeList(versions=list(found))
