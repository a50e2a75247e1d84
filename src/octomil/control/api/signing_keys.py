"""`/signing-keys`: the keys that the manifests of versions are signed with."""

from typing import Annotated

from fastapi import APIRouter, Security

from octomil.control.api.callers import caller_of
from octomil.control.api.json_bodies import StrictJsonRoute
from octomil.control.api.planes import Plane
from octomil.control.scopes import MODELS_READ, SIGNING_KEYS_WRITE
from octomil.control.services.callers import Caller
from octomil.wire.signing_keys import SigningKeyList, SigningKeyView

router = APIRouter(prefix="/signing-keys", tags=["provenance"], route_class=StrictJsonRoute)


@router.get("")
async def list_all(
    plane: Plane, caller: Annotated[Caller, Security(caller_of, scopes=[MODELS_READ])]
) -> SigningKeyList:
    """Return the public keys that the organisation's manifests are signed with."""
    return SigningKeyList(keys=list(await plane.threads.read(plane.signing_keys.list, caller)))


@router.post("/rotate", status_code=201)
async def rotate(
    plane: Plane, caller: Annotated[Caller, Security(caller_of, scopes=[SIGNING_KEYS_WRITE])]
) -> SigningKeyView:
    """Let a new key sign from now on, endorsed by the one that did so far."""
    key = await plane.threads.write(plane.signing_keys.rotate, caller)
    await plane.threads.afterwards(plane.store.scrub)  # the old one's private part
    await plane.threads.afterwards(plane.offers.refresh)
    return key
