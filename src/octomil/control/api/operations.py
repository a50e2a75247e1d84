"""`/health`, `/ready` and `/metrics`: how the control plane itself fares."""

from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from epochly.inference.metrics.exposition import (
    CLASSIC,
    OPENMETRICS,
    exposition,
    wants_openmetrics,
)
from octomil._version import __version__
from octomil.control.api.callers import OPEN, bearer_token, caller_of
from octomil.control.plane import ControlPlane
from octomil.control.ports import Store
from octomil.errors import ServiceUnavailableError

_SETTING = "format_version"


def operations_router(plane: ControlPlane) -> APIRouter:
    """Return the routes that lie outside of the API's prefix and need no key."""
    router = APIRouter(tags=["operations"])

    @router.get("/health", dependencies=[OPEN])
    async def health() -> dict[str, str]:
        """Tell that the process answers."""
        return _health()

    @router.get("/ready", dependencies=[OPEN])
    async def ready() -> Response:
        """Tell whether the database answers, too: 200, else 503."""
        try:
            await plane.threads.read(_look, plane.store)
        except ServiceUnavailableError as error:
            return JSONResponse({"ready": False, "reason": str(error)}, status_code=503)
        return JSONResponse({"ready": True})

    @router.get(
        "/metrics",
        dependencies=[OPEN],
        response_class=Response,
        responses={200: {"content": {_media_type(form): {} for form in (CLASSIC, OPENMETRICS)}}},
    )
    async def metrics(request: Request) -> Response:
        """Return every metric, in Prometheus' text format or OpenMetrics."""
        shown = plane.metrics.shown(
            plane.threads.waiting(), len(plane.last_seen), plane.rate_limits.counts()
        )
        openmetrics = wants_openmetrics(request.headers.get("accept", ""))
        text = exposition(shown, openmetrics=openmetrics)
        return Response(text, headers={"content-type": OPENMETRICS if openmetrics else CLASSIC})

    return router


def session_router(plane: ControlPlane) -> APIRouter:
    """Return the health route that clients ask under the API's prefix, to try their key."""
    router = APIRouter(tags=["operations"])

    @router.get("/health", dependencies=[OPEN])
    async def health(request: Request) -> dict[str, str]:
        """Tell that the process answers, and that the key holds if there is one."""
        if bearer_token(request.scope):
            await caller_of(plane, request)
        return _health()

    return router


def _media_type(content_type: str) -> str:
    return content_type.partition(";")[0]


def _health() -> dict[str, Any]:
    return {"status": "ok", "version": __version__}


def _look(store: Store) -> None:
    with store.system_snapshot() as tx:
        tx.setting(_SETTING)
