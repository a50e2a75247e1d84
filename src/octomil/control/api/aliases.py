"""`/models/{id}/aliases`: names that point at versions, and who was what when."""

from typing import Annotated

from fastapi import APIRouter, Path, Query, Security
from pydantic import AwareDatetime

from octomil.control.api.callers import caller_of
from octomil.control.api.json_bodies import StrictJsonRoute
from octomil.control.api.parameters import Limit, Offset, PathText
from octomil.control.api.planes import Plane
from octomil.control.moments import in_utc
from octomil.control.scopes import MODELS_READ, MODELS_WRITE
from octomil.control.services.aliases import view_of
from octomil.control.services.callers import Caller
from octomil.wire.aliases import AliasHistory, AliasList, AliasMove, AliasName, AliasView

_Alias = Annotated[AliasName, Path()]

router = APIRouter(
    prefix="/models/{model_id}/aliases", tags=["aliases"], route_class=StrictJsonRoute
)
_Reader = Annotated[Caller, Security(caller_of, scopes=[MODELS_READ])]
_Writer = Annotated[Caller, Security(caller_of, scopes=[MODELS_WRITE])]


@router.get("")
async def list_all(plane: Plane, model_id: PathText, caller: _Reader) -> AliasList:
    """Return where each alias points."""
    found = await plane.threads.read(plane.aliases.list, caller, model_id)
    return AliasList(aliases=[view_of(alias) for alias in found])


@router.put("/{alias}")
async def move(
    plane: Plane, model_id: PathText, alias: _Alias, body: AliasMove, caller: _Writer
) -> AliasView:
    """Point an alias at a published version."""
    return view_of(await plane.threads.write(plane.aliases.move, caller, model_id, alias, body))


@router.get("/{alias}")
async def get(
    plane: Plane,
    model_id: PathText,
    alias: _Alias,
    caller: _Reader,
    at: Annotated[AwareDatetime | None, Query(description="RFC 3339.")] = None,
) -> AliasView:
    """Return where an alias points, or pointed at a moment."""
    moment = None if at is None else in_utc(at)
    return view_of(await plane.threads.read(plane.aliases.get, caller, model_id, alias, moment))


@router.delete("/{alias}")
async def remove(plane: Plane, model_id: PathText, alias: _Alias, caller: _Writer) -> AliasView:
    """Let an alias point nowhere; its history stays."""
    return view_of(await plane.threads.write(plane.aliases.remove, caller, model_id, alias))


@router.get("/{alias}/history")
async def history(
    plane: Plane,
    model_id: PathText,
    alias: _Alias,
    caller: _Reader,
    limit: Limit = 100,
    offset: Offset = 0,
) -> AliasHistory:
    """Return where an alias pointed, newest first."""
    found = await plane.threads.read(
        plane.aliases.history, caller, model_id, alias, limit=limit, offset=offset
    )
    return AliasHistory(history=[view_of(step) for step in found])
