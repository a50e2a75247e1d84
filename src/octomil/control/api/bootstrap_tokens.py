"""`/device-auth/bootstrap-tokens`: what devices get their first tokens with."""

from typing import Annotated

from fastapi import APIRouter, Security

from octomil.control.api.callers import caller_of
from octomil.control.api.idempotency import SECRET
from octomil.control.api.json_bodies import StrictJsonRoute
from octomil.control.api.parameters import PathText
from octomil.control.api.planes import Plane
from octomil.control.scopes import DEVICES_READ, DEVICES_WRITE
from octomil.control.services.callers import Caller
from octomil.wire.device_auth import (
    BootstrapTokenCreated,
    BootstrapTokenList,
    BootstrapTokenView,
    CreateBootstrapToken,
)

router = APIRouter(
    prefix="/device-auth/bootstrap-tokens", tags=["device-auth"], route_class=StrictJsonRoute
)
_Writer = Annotated[Caller, Security(caller_of, scopes=[DEVICES_WRITE])]


@router.post("", status_code=201, dependencies=[SECRET])
async def create(
    plane: Plane, body: CreateBootstrapToken, caller: _Writer
) -> BootstrapTokenCreated:
    """Make a bootstrap token; its text is shown this once."""
    return await plane.threads.write(plane.bootstrap_tokens.make, caller, body)


@router.get("")
async def list_all(
    plane: Plane, caller: Annotated[Caller, Security(caller_of, scopes=[DEVICES_READ])]
) -> BootstrapTokenList:
    """List the bootstrap tokens, without their texts."""
    tokens = await plane.threads.read(plane.bootstrap_tokens.list, caller)
    return BootstrapTokenList(bootstrap_tokens=list(tokens))


@router.post("/{bootstrap_token_id}/revoke")
async def revoke(plane: Plane, bootstrap_token_id: PathText, caller: _Writer) -> BootstrapTokenView:
    """Make a bootstrap token void; devices that it let in keep their tokens."""
    return await plane.threads.write(plane.bootstrap_tokens.revoke, caller, bootstrap_token_id)
