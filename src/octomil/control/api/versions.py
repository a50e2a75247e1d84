"""`/models/{id}/versions`: begun, published, measured, retired."""

from typing import Annotated

from fastapi import APIRouter, Query, Security

from octomil.control.api.callers import caller_dependency
from octomil.control.api.json_bodies import StrictJsonRoute
from octomil.control.api.parameters import Limit, Offset, PathText
from octomil.control.plane import ControlPlane
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


def versions_router(plane: ControlPlane) -> APIRouter:
    """Return the routes."""
    router = APIRouter(
        prefix="/models/{model_id}/versions", tags=["versions"], route_class=StrictJsonRoute
    )
    caller_of = caller_dependency(plane)
    service, threads, files = plane.versions, plane.threads, plane.version_files

    @router.get("")
    async def list_all(
        model_id: PathText,
        caller: Annotated[Caller, Security(caller_of, scopes=[MODELS_READ])],
        state: Annotated[VersionState | None, Query(alias="status")] = None,
        limit: Limit = 100,
        offset: Offset = 0,
    ) -> VersionList:
        """List versions, newest first."""
        found = await threads.read(
            service.list, caller, model_id, state=state, limit=limit, offset=offset
        )
        return VersionList(versions=[view_of(version) for version in found])

    @router.post("", status_code=201)
    async def create(
        model_id: PathText,
        body: VersionCreation,
        caller: Annotated[Caller, Security(caller_of, scopes=[MODELS_WRITE])],
    ) -> VersionView:
        """Begin a version, of a file that was uploaded before or of those that follow."""
        return view_of(await threads.write(files.create, caller, model_id, body))

    @router.get("/latest")
    async def latest(
        model_id: PathText, caller: Annotated[Caller, Security(caller_of, scopes=[MODELS_READ])]
    ) -> VersionView:
        """Return the published version of highest precedence, pre-releases left out."""
        return view_of(await threads.read(service.latest, caller, model_id))

    @router.get("/{version}")
    async def get(
        model_id: PathText,
        version: PathText,
        caller: Annotated[Caller, Security(caller_of, scopes=[MODELS_READ])],
    ) -> VersionView:
        """Return a version."""
        return view_of(await threads.read(service.get, caller, model_id, version))

    @router.delete("/{version}")
    async def delete(
        model_id: PathText,
        version: PathText,
        caller: Annotated[Caller, Security(caller_of, scopes=[MODELS_WRITE])],
    ) -> Deleted:
        """Remove a version that nobody needs."""
        return Deleted(id=(await threads.write(service.delete, caller, model_id, version)).id)

    @router.post("/{version}/publish")
    async def publish(
        model_id: PathText,
        version: PathText,
        caller: Annotated[Caller, Security(caller_of, scopes=[MODELS_WRITE])],
    ) -> VersionView:
        """Freeze a version and sign what it is."""
        publish = plane.publication.publish
        return view_of(await threads.write(publish, caller, model_id, version))

    @router.post("/{version}/deprecate")
    async def deprecate(
        model_id: PathText,
        version: PathText,
        caller: Annotated[Caller, Security(caller_of, scopes=[MODELS_WRITE])],
    ) -> VersionView:
        """Take a published version out of use."""
        return view_of(await threads.write(service.deprecate, caller, model_id, version))

    @router.post("/{version}/fail")
    async def fail(
        model_id: PathText,
        version: PathText,
        body: VersionFailure,
        caller: Annotated[Caller, Security(caller_of, scopes=[MODELS_WRITE])],
    ) -> VersionView:
        """Give a version up that cannot become ready, so that nobody waits for it."""
        reason = body.reason
        return view_of(await threads.write(service.fail, caller, model_id, version, reason))

    @router.patch("/{version}/metrics")
    async def put_metrics(
        model_id: PathText,
        version: PathText,
        body: MetricsUpdate,
        caller: Annotated[Caller, Security(caller_of, scopes=[MODELS_WRITE])],
    ) -> VersionView:
        """Add to what was measured of a version."""
        metrics = body.metrics
        return view_of(await threads.write(service.put_metrics, caller, model_id, version, metrics))

    return router
