"""`/keys`: the API keys of the caller's organisation."""

from typing import Annotated

from fastapi import APIRouter, Security

from octomil.control.api.callers import caller_dependency
from octomil.control.api.idempotency import SECRET
from octomil.control.api.json_bodies import StrictJsonRoute
from octomil.control.api.parameters import PathText
from octomil.control.plane import ControlPlane
from octomil.control.scopes import KEYS_READ, KEYS_WRITE
from octomil.control.services.callers import Caller
from octomil.wire.api_keys import CreateKey, KeyCreated, KeyList, KeyView, RotateKey


def keys_router(plane: ControlPlane) -> APIRouter:
    """Return the routes."""
    router = APIRouter(prefix="/keys", tags=["keys"], route_class=StrictJsonRoute)
    caller_of = caller_dependency(plane)
    service = plane.api_keys

    @router.post("", status_code=201, dependencies=[SECRET])
    async def create(
        body: CreateKey, caller: Annotated[Caller, Security(caller_of, scopes=[KEYS_WRITE])]
    ) -> KeyCreated:
        """Make a key that can do no more than the caller's; its text is shown this once."""
        return await plane.threads.write(service.make, caller, body)

    @router.get("")
    async def list_all(
        caller: Annotated[Caller, Security(caller_of, scopes=[KEYS_READ])],
    ) -> KeyList:
        """List the keys, without their texts."""
        return KeyList(keys=list(await plane.threads.read(service.list, caller)))

    @router.get("/{key_id}")
    async def get(
        key_id: PathText, caller: Annotated[Caller, Security(caller_of, scopes=[KEYS_READ])]
    ) -> KeyView:
        """Return a key, without its text."""
        return await plane.threads.read(service.get, caller, key_id)

    @router.post("/{key_id}/rotate", status_code=201, dependencies=[SECRET])
    async def rotate(
        key_id: PathText,
        caller: Annotated[Caller, Security(caller_of, scopes=[KEYS_WRITE])],
        body: RotateKey | None = None,
    ) -> KeyCreated:
        """Make the key that follows another; the old one is good for a while yet."""
        grace_s = (body or RotateKey()).grace_seconds
        return await plane.threads.write(service.rotate, caller, key_id, grace_s)

    @router.post("/{key_id}/revoke")
    async def revoke(
        key_id: PathText, caller: Annotated[Caller, Security(caller_of, scopes=[KEYS_WRITE])]
    ) -> KeyView:
        """Make a key void."""
        return await plane.threads.write(service.revoke, caller, key_id)

    return router
