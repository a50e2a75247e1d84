"""`/models/{id}/versions/{version}/block`: versions that were rolled back for their health."""

from typing import Annotated

from fastapi import APIRouter, Security

from octomil.control.api.callers import caller_of
from octomil.control.api.json_bodies import StrictJsonRoute
from octomil.control.api.parameters import PathText
from octomil.control.api.planes import Plane
from octomil.control.api.rollout_views import block_view
from octomil.control.scopes import ROLLOUTS_READ, ROLLOUTS_WRITE
from octomil.control.services.callers import Caller
from octomil.wire.rollouts import BlockView, ReasonRequest

_VERSION = "/models/{model_id}/versions/{version}"

router = APIRouter(tags=["rollouts"], route_class=StrictJsonRoute)


@router.get(f"{_VERSION}/block")
async def block(
    plane: Plane,
    model_id: PathText,
    version: PathText,
    caller: Annotated[Caller, Security(caller_of, scopes=[ROLLOUTS_READ])],
) -> BlockView:
    """Tell whether a version may be rolled out."""
    return block_view(version, await plane.threads.read(plane.blocks.of, caller, model_id, version))


@router.post(f"{_VERSION}/unblock")
async def unblock(
    plane: Plane,
    model_id: PathText,
    version: PathText,
    caller: Annotated[Caller, Security(caller_of, scopes=[ROLLOUTS_WRITE])],
    body: ReasonRequest | None = None,
) -> BlockView:
    """Let a version be rolled out again that was rolled back for its health."""
    reason = body.reason or "" if body is not None else ""
    await plane.threads.write(plane.blocks.lift, caller, model_id, version, reason)
    return block_view(version, None)
