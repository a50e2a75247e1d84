"""`/health` under the API's prefix, which clients ask to try their key."""

from fastapi import APIRouter
from starlette.requests import Request

from octomil.control.api.callers import OPEN, authenticated, bearer_token
from octomil.control.api.operations import alive

router = APIRouter(tags=["operations"])


@router.get("/health", dependencies=[OPEN])
async def health(request: Request) -> dict[str, str]:
    """Tell that the process answers, and that the key holds if there is one."""
    if bearer_token(request.scope):
        await authenticated(request.scope)
    return alive()
