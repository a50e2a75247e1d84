"""`/models`: the models of the caller's organisation."""

from dataclasses import fields
from typing import Annotated, Any

from fastapi import APIRouter, Response, Security
from starlette.requests import Request

from octomil.control.api.callers import caller_dependency
from octomil.control.api.json_bodies import StrictJsonRoute
from octomil.control.api.parameters import Limit, Offset, PathText, QueryText
from octomil.control.plane import ControlPlane
from octomil.control.scopes import MODELS_READ, MODELS_WRITE
from octomil.control.services.callers import Caller
from octomil.control.services.models import view_of
from octomil.wire.models import Deleted, ModelCreation, ModelList, ModelUpdate, ModelView

_KNOWN = frozenset(field.name for field in fields(ModelUpdate))


def models_router(plane: ControlPlane) -> APIRouter:
    """Return the routes."""
    router = APIRouter(prefix="/models", tags=["models"], route_class=StrictJsonRoute)
    caller_of = caller_dependency(plane)
    service, threads = plane.models, plane.threads

    @router.post("", responses={201: {"model": ModelView, "description": "It was made."}})
    async def ensure(
        body: ModelCreation,
        response: Response,
        caller: Annotated[Caller, Security(caller_of, scopes=[MODELS_WRITE])],
    ) -> ModelView:
        """Make a model, or return the one of that name as it is."""
        model, is_new = await threads.write(service.ensure, caller, body)
        response.status_code = 201 if is_new else 200
        return view_of(model)

    @router.get("")
    async def list_all(
        caller: Annotated[Caller, Security(caller_of, scopes=[MODELS_READ])],
        org_id: QueryText = None,
        name: QueryText = None,
        framework: QueryText = None,
        use_case: QueryText = None,
        limit: Limit = 100,
        offset: Offset = 0,
    ) -> ModelList:
        """List models in the order of their names."""
        caller.require_organisation(org_id)
        given = {"name": name, "framework": framework, "use_case": use_case}
        filters = {key: value for key, value in given.items() if value is not None}
        found = await threads.read(service.list, caller, filters, limit=limit, offset=offset)
        return ModelList(models=[view_of(model) for model in found])

    @router.get("/{model_id}")
    async def get(
        model_id: PathText, caller: Annotated[Caller, Security(caller_of, scopes=[MODELS_READ])]
    ) -> ModelView:
        """Return a model."""
        return view_of(await threads.read(service.get, caller, model_id))

    @router.patch("/{model_id}")
    async def update(
        model_id: PathText,
        body: ModelUpdate,
        request: Request,
        caller: Annotated[Caller, Security(caller_of, scopes=[MODELS_WRITE])],
    ) -> ModelView:
        """Change what is known about a model; what is left out stays."""
        changes = _changes(body, await request.json())
        return view_of(await threads.write(service.update, caller, model_id, changes))

    @router.delete("/{model_id}")
    async def delete(
        model_id: PathText, caller: Annotated[Caller, Security(caller_of, scopes=[MODELS_WRITE])]
    ) -> Deleted:
        """Remove a model with all its versions."""
        await threads.write(service.delete, caller, model_id)
        return Deleted(id=model_id)

    return router


def _changes(body: ModelUpdate, sent: dict[str, Any]) -> dict[str, Any]:
    """Return what was sent, and nothing that merely has a default; the unknown as metadata."""
    changes = {name: getattr(body, name) for name in sent if name in _KNOWN}
    others = {name: value for name, value in sent.items() if name not in _KNOWN | {"org_id"}}
    if others or "metadata" in changes:
        changes["metadata"] = {**(changes.get("metadata") or {}), **others}
    if changes.get("name", "") is None:
        del changes["name"]
    return changes
