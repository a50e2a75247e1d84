"""`/keys`: the API keys of the caller's organisation."""

from typing import Annotated

from fastapi import APIRouter, Security

from octomil.control.api.callers import caller_of
from octomil.control.api.idempotency import SECRET
from octomil.control.api.json_bodies import StrictJsonRoute
from octomil.control.api.parameters import PathText
from octomil.control.api.planes import Plane
from octomil.control.scopes import KEYS_READ, KEYS_WRITE
from octomil.control.services.callers import Caller
from octomil.wire.api_keys import CreateKey, KeyCreated, KeyList, KeyView, RotateKey

router = APIRouter(prefix="/keys", tags=["keys"], route_class=StrictJsonRoute)
_Reader = Annotated[Caller, Security(caller_of, scopes=[KEYS_READ])]
_Writer = Annotated[Caller, Security(caller_of, scopes=[KEYS_WRITE])]


@router.post("", status_code=201, dependencies=[SECRET])
async def create(plane: Plane, body: CreateKey, caller: _Writer) -> KeyCreated:
    """Make a key that can do no more than the caller's; its text is shown this once."""
    return await plane.threads.write(plane.api_keys.make, caller, body)


@router.get("")
async def list_all(plane: Plane, caller: _Reader) -> KeyList:
    """List the keys, without their texts."""
    return KeyList(keys=list(await plane.threads.read(plane.api_keys.list, caller)))


@router.get("/{key_id}")
async def get(plane: Plane, key_id: PathText, caller: _Reader) -> KeyView:
    """Return a key, without its text."""
    return await plane.threads.read(plane.api_keys.get, caller, key_id)


@router.post("/{key_id}/rotate", status_code=201, dependencies=[SECRET])
async def rotate(
    plane: Plane, key_id: PathText, caller: _Writer, body: RotateKey | None = None
) -> KeyCreated:
    """Make the key that follows another; the old one is good for a while yet."""
    grace_s = (body or RotateKey()).grace_seconds
    return await plane.threads.write(plane.api_keys.rotate, caller, key_id, grace_s)


@router.post("/{key_id}/revoke")
async def revoke(plane: Plane, key_id: PathText, caller: _Writer) -> KeyView:
    """Make a key void."""
    return await plane.threads.write(plane.api_keys.revoke, caller, key_id)
