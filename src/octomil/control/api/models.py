"""`/models`: the models of the caller's organisation."""

from dataclasses import fields
from typing import Annotated, Any

from fastapi import APIRouter, Response, Security
from starlette.requests import Request

from octomil.control.api.callers import caller_of
from octomil.control.api.json_bodies import StrictJsonRoute
from octomil.control.api.parameters import Limit, Offset, PathText, QueryText
from octomil.control.api.planes import Plane
from octomil.control.scopes import MODELS_READ, MODELS_WRITE
from octomil.control.services.callers import Caller
from octomil.control.services.models import view_of
from octomil.wire.models import Deleted, ModelCreation, ModelList, ModelUpdate, ModelView

_KNOWN = frozenset(field.name for field in fields(ModelUpdate))

router = APIRouter(prefix="/models", tags=["models"], route_class=StrictJsonRoute)
_Reader = Annotated[Caller, Security(caller_of, scopes=[MODELS_READ])]
_Writer = Annotated[Caller, Security(caller_of, scopes=[MODELS_WRITE])]


@router.post("", responses={201: {"model": ModelView, "description": "It was made."}})
async def ensure(
    plane: Plane, body: ModelCreation, response: Response, caller: _Writer
) -> ModelView:
    """Make a model, or return the one of that name as it is."""
    model, is_new = await plane.threads.write(plane.models.ensure, caller, body)
    response.status_code = 201 if is_new else 200
    return view_of(model)


@router.get("")
async def list_all(
    plane: Plane,
    caller: _Reader,
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
    found = await plane.threads.read(plane.models.list, caller, filters, limit=limit, offset=offset)
    return ModelList(models=[view_of(model) for model in found])


@router.get("/{model_id}")
async def get(plane: Plane, model_id: PathText, caller: _Reader) -> ModelView:
    """Return a model."""
    return view_of(await plane.threads.read(plane.models.get, caller, model_id))


@router.patch("/{model_id}")
async def update(
    plane: Plane, model_id: PathText, body: ModelUpdate, request: Request, caller: _Writer
) -> ModelView:
    """Change what is known about a model; what is left out stays."""
    changes = _changes(body, await request.json())
    return view_of(await plane.threads.write(plane.models.update, caller, model_id, changes))


@router.delete("/{model_id}")
async def delete(plane: Plane, model_id: PathText, caller: _Writer) -> Deleted:
    """Remove a model with all its versions."""
    await plane.threads.write(plane.models.delete, caller, model_id)
    return Deleted(id=model_id)


def _changes(body: ModelUpdate, sent: dict[str, Any]) -> dict[str, Any]:
    """Return what was sent, and nothing that merely has a default; the unknown as metadata."""
    changes = {name: getattr(body, name) for name in sent if name in _KNOWN}
    others = {name: value for name, value in sent.items() if name not in _KNOWN | {"org_id"}}
    if others or "metadata" in changes:
        changes["metadata"] = {**(changes.get("metadata") or {}), **others}
    if changes.get("name", "") is None:
        del changes["name"]
    return changes
