"""Calls of published clients that are known and not served: 501, so that nobody guesses why."""

from typing import Annotated, Final

from fastapi import APIRouter, Security
from starlette.requests import Request
from starlette.responses import Response

from octomil.control.api.callers import caller_dependency
from octomil.control.api.parameters import PathText
from octomil.control.plane import ControlPlane
from octomil.control.scopes import MODELS_READ
from octomil.control.services.callers import Caller
from octomil.errors import NotImplementedYetError

CALLS: Final = (
    ("GET", "/models/{model_id}/optimized-config/{device_type}"),
    ("POST", "/models/{model_id}/optimize"),
    ("GET", "/models/{model_id}/compatibility"),
)
"""Method and path; one that comes to be served is taken out."""


def not_served_router(plane: ControlPlane) -> APIRouter:
    """Return the routes; to be asked after all others."""
    router = APIRouter(tags=["not served"])
    caller_of = caller_dependency(plane)

    async def refuse(
        model_id: PathText,
        request: Request,
        caller: Annotated[Caller, Security(caller_of, scopes=[MODELS_READ])],
    ) -> Response:
        """Say that this is not served."""
        await plane.threads.read(plane.models.get, caller, model_id)
        raise NotImplementedYetError(f"{request.method} {request.url.path} is not served here")

    for method, path in CALLS:
        router.add_api_route(path, refuse, methods=[method])
    return router
