"""`/device-auth/bootstrap-tokens`: what devices get their first tokens with."""

from typing import Annotated

from fastapi import APIRouter, Security

from octomil.control.api.callers import caller_dependency
from octomil.control.api.idempotency import SECRET
from octomil.control.api.json_bodies import StrictJsonRoute
from octomil.control.api.parameters import PathText
from octomil.control.plane import ControlPlane
from octomil.control.scopes import DEVICES_READ, DEVICES_WRITE
from octomil.control.services.callers import Caller
from octomil.wire.device_auth import (
    BootstrapTokenCreated,
    BootstrapTokenList,
    BootstrapTokenView,
    CreateBootstrapToken,
)


def bootstrap_tokens_router(plane: ControlPlane) -> APIRouter:
    """Return the routes."""
    path, tags = "/device-auth/bootstrap-tokens", ["device-auth"]
    router = APIRouter(prefix=path, tags=list(tags), route_class=StrictJsonRoute)
    caller_of = caller_dependency(plane)
    service = plane.bootstrap_tokens

    @router.post("", status_code=201, dependencies=[SECRET])
    async def create(
        body: CreateBootstrapToken,
        caller: Annotated[Caller, Security(caller_of, scopes=[DEVICES_WRITE])],
    ) -> BootstrapTokenCreated:
        """Make a bootstrap token; its text is shown this once."""
        return await plane.threads.write(service.make, caller, body)

    @router.get("")
    async def list_all(
        caller: Annotated[Caller, Security(caller_of, scopes=[DEVICES_READ])],
    ) -> BootstrapTokenList:
        """List the bootstrap tokens, without their texts."""
        tokens = await plane.threads.read(service.list, caller)
        return BootstrapTokenList(bootstrap_tokens=list(tokens))

    @router.post("/{bootstrap_token_id}/revoke")
    async def revoke(
        bootstrap_token_id: PathText,
        caller: Annotated[Caller, Security(caller_of, scopes=[DEVICES_WRITE])],
    ) -> BootstrapTokenView:
        """Make a bootstrap token void; devices that it let in keep their tokens."""
        return await plane.threads.write(service.revoke, caller, bootstrap_token_id)

    return router
