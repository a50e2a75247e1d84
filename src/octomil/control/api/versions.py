"""`/models/{id}/versions`: begun, published, measured, retired."""

from typing import Annotated

from fastapi import APIRouter, Query, Security

from octomil.control.api.callers import caller_of
from octomil.control.api.json_bodies import StrictJsonRoute
from octomil.control.api.parameters import Limit, Offset, PathText
from octomil.control.api.planes import Plane
from octomil.control.scopes import MODELS_READ, MODELS_WRITE
from octomil.control.services.callers import Caller
from octomil.control.services.versions import view_of
from octomil.registry.lifecycle import VersionState
from octomil.wire.models import Deleted
from octomil.wire.versions import (
    MetricsUpdate,
    VersionCreation,
    VersionFailure,
    VersionList,
    VersionView,
)

router = APIRouter(
    prefix="/models/{model_id}/versions", tags=["versions"], route_class=StrictJsonRoute
)
_Reader = Annotated[Caller, Security(caller_of, scopes=[MODELS_READ])]
_Writer = Annotated[Caller, Security(caller_of, scopes=[MODELS_WRITE])]


@router.get("")
async def list_all(
    plane: Plane,
    model_id: PathText,
    caller: _Reader,
    state: Annotated[VersionState | None, Query(alias="status")] = None,
    limit: Limit = 100,
    offset: Offset = 0,
) -> VersionList:
    """List versions, newest first."""
    found = await plane.threads.read(
        plane.versions.list, caller, model_id, state=state, limit=limit, offset=offset
    )
    return VersionList(versions=[view_of(version) for version in found])


@router.post("", status_code=201)
async def create(
    plane: Plane, model_id: PathText, body: VersionCreation, caller: _Writer
) -> VersionView:
    """Begin a version, of a file that was uploaded before or of those that follow."""
    return view_of(await plane.threads.write(plane.version_files.create, caller, model_id, body))


@router.get("/latest")
async def latest(plane: Plane, model_id: PathText, caller: _Reader) -> VersionView:
    """Return the published version of highest precedence, pre-releases left out."""
    return view_of(await plane.threads.read(plane.versions.latest, caller, model_id))


@router.get("/{version}")
async def get(plane: Plane, model_id: PathText, version: PathText, caller: _Reader) -> VersionView:
    """Return a version."""
    return view_of(await plane.threads.read(plane.versions.get, caller, model_id, version))


@router.delete("/{version}")
async def delete(plane: Plane, model_id: PathText, version: PathText, caller: _Writer) -> Deleted:
    """Remove a version that nobody needs."""
    deleted = await plane.threads.write(plane.versions.delete, caller, model_id, version)
    return Deleted(id=deleted.id)


@router.post("/{version}/publish")
async def publish(
    plane: Plane, model_id: PathText, version: PathText, caller: _Writer
) -> VersionView:
    """Freeze a version and sign what it is."""
    published = await plane.threads.write(plane.publication.publish, caller, model_id, version)
    return view_of(published)


@router.post("/{version}/deprecate")
async def deprecate(
    plane: Plane, model_id: PathText, version: PathText, caller: _Writer
) -> VersionView:
    """Take a published version out of use."""
    return view_of(await plane.threads.write(plane.versions.deprecate, caller, model_id, version))


@router.post("/{version}/fail")
async def fail(
    plane: Plane, model_id: PathText, version: PathText, body: VersionFailure, caller: _Writer
) -> VersionView:
    """Give a version up that cannot become ready, so that nobody waits for it."""
    failed = await plane.threads.write(plane.versions.fail, caller, model_id, version, body.reason)
    return view_of(failed)


@router.patch("/{version}/metrics")
async def put_metrics(
    plane: Plane, model_id: PathText, version: PathText, body: MetricsUpdate, caller: _Writer
) -> VersionView:
    """Add to what was measured of a version."""
    measured = await plane.threads.write(
        plane.versions.put_metrics, caller, model_id, version, body.metrics
    )
    return view_of(measured)
