"""What a version is and where it comes from: its manifest, its lineage."""

from typing import Annotated

from fastapi import APIRouter, Security

from octomil.control.api.callers import caller_dependency
from octomil.control.api.json_bodies import StrictJsonRoute
from octomil.control.api.parameters import Limit, PathText
from octomil.control.plane import ControlPlane
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


def provenance_router(plane: ControlPlane) -> APIRouter:
    """Return the routes."""
    router = APIRouter(tags=["provenance"], route_class=StrictJsonRoute)
    caller_of = caller_dependency(plane)
    lineage, publication, threads = plane.lineage, plane.publication, plane.threads

    @router.get(f"{_VERSION}/manifest")
    async def manifest(
        model_id: PathText,
        version: PathText,
        caller: Annotated[Caller, Security(caller_of, scopes=[MODELS_READ])],
    ) -> ManifestView:
        """Return what a version was published as, signed."""
        return await threads.read(publication.manifest, caller, model_id, version)

    @router.put(f"{_VERSION}/parents")
    async def set_parents(
        model_id: PathText,
        version: PathText,
        body: ParentsUpdate,
        caller: Annotated[Caller, Security(caller_of, scopes=[MODELS_WRITE])],
    ) -> VersionView:
        """Say which versions a version comes from."""
        changed = await threads.write(lineage.set_parents, caller, model_id, version, body.parents)
        return view_of(changed)

    @router.get(f"{_VERSION}/ancestors")
    async def ancestors(
        model_id: PathText,
        version: PathText,
        caller: Annotated[Caller, Security(caller_of, scopes=[MODELS_READ])],
        limit: Limit = 100,
    ) -> RelativeList:
        """Return what a version comes from, nearest first."""
        found = await threads.read(lineage.ancestors, caller, model_id, version, limit=limit)
        return RelativeList(versions=list(found))

    @router.get(f"{_VERSION}/descendants")
    async def descendants(
        model_id: PathText,
        version: PathText,
        caller: Annotated[Caller, Security(caller_of, scopes=[MODELS_READ])],
        limit: Limit = 100,
    ) -> RelativeList:
        """Return what comes from a version, nearest first."""
        found = await threads.read(lineage.descendants, caller, model_id, version, limit=limit)
        return RelativeList(versions=list(found))

    return router
