"""`/device-auth`: a device's tokens."""

from contextlib import suppress
from typing import Annotated

from fastapi import APIRouter, Security
from starlette.requests import Request

from octomil.control.api.callers import OPEN, caller_of
from octomil.control.api.failures import address_of
from octomil.control.api.idempotency import UNKEYED
from octomil.control.api.json_bodies import StrictJsonRoute
from octomil.control.api.planes import Plane
from octomil.control.scopes import DEVICES_REGISTER
from octomil.control.services.callers import Caller
from octomil.errors import UnauthorizedError
from octomil.wire.device_auth import (
    BootstrapRequest,
    DeviceTokens,
    RefreshRequest,
    Revoked,
    RevokeRequest,
)

router = APIRouter(prefix="/device-auth", tags=["device-auth"], route_class=StrictJsonRoute)


@router.post("/bootstrap", dependencies=[UNKEYED])
async def bootstrap(
    plane: Plane,
    body: BootstrapRequest,
    caller: Annotated[Caller, Security(caller_of, scopes=[DEVICES_REGISTER])],
) -> DeviceTokens:
    """Give a device its first tokens, for an API key or a bootstrap token."""
    return await plane.threads.write(plane.device_auth.bootstrap, caller, body)


@router.post("/refresh", dependencies=[OPEN])
async def refresh(plane: Plane, body: RefreshRequest, request: Request) -> DeviceTokens:
    """Exchange a refresh token for the next one and an access token."""
    async with plane.failures.counted(address_of(request.scope)):
        await plane.threads.read(plane.device_auth.require_held, body.refresh_token)
    return await plane.threads.write(plane.device_auth.refresh, body.refresh_token)


@router.post("/revoke", dependencies=[OPEN])
async def revoke(plane: Plane, body: RevokeRequest, request: Request) -> Revoked:
    """End a device's tokens; those that are unknown have ended already (RFC 7009, 2.2)."""
    with suppress(UnauthorizedError):
        async with plane.failures.counted(address_of(request.scope)):
            await plane.threads.read(plane.device_auth.require_held, body.refresh_token)
        await plane.threads.write(
            plane.device_auth.revoke, body.refresh_token, body.reason or "revoked"
        )
    return Revoked()
