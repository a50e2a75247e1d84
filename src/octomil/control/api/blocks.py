"""`/models/{id}/versions/{version}/block`: versions that were rolled back for their health."""

from typing import Annotated

from fastapi import APIRouter, Security

from octomil.control.api.callers import caller_dependency
from octomil.control.api.json_bodies import StrictJsonRoute
from octomil.control.api.parameters import PathText
from octomil.control.api.rollout_views import block_view
from octomil.control.plane import ControlPlane
from octomil.control.scopes import ROLLOUTS_READ, ROLLOUTS_WRITE
from octomil.control.services.callers import Caller
from octomil.wire.rollouts import BlockView, ReasonRequest

_VERSION = "/models/{model_id}/versions/{version}"


def blocks_router(plane: ControlPlane) -> APIRouter:
    """Return the routes."""
    router = APIRouter(tags=["rollouts"], route_class=StrictJsonRoute)
    caller_of = caller_dependency(plane)
    blocks, threads = plane.blocks, plane.threads

    @router.get(f"{_VERSION}/block")
    async def block(
        model_id: PathText,
        version: PathText,
        caller: Annotated[Caller, Security(caller_of, scopes=[ROLLOUTS_READ])],
    ) -> BlockView:
        """Tell whether a version may be rolled out."""
        return block_view(version, await threads.read(blocks.of, caller, model_id, version))

    @router.post(f"{_VERSION}/unblock")
    async def unblock(
        model_id: PathText,
        version: PathText,
        caller: Annotated[Caller, Security(caller_of, scopes=[ROLLOUTS_WRITE])],
        body: ReasonRequest | None = None,
    ) -> BlockView:
        """Let a version be rolled out again that was rolled back for its health."""
        reason = body.reason or "" if body is not None else ""
        await threads.write(blocks.lift, caller, model_id, version, reason)
        return block_view(version, None)

    return router
