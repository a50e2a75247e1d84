"""`/health`, `/ready` and `/metrics`: how the control plane itself fares."""

import asyncio
import logging
from typing import Any, Final

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

READY_S: Final = 2.0
"""So long the database may take to show that it answers."""

_SETTING = "format_version"
_log = logging.getLogger("octomil.control")


def operations_router(plane: ControlPlane) -> APIRouter:
    """Return the routes that lie outside of the API's prefix and need no key."""
    router, looks = APIRouter(tags=["operations"]), _Looks(plane)

    @router.get("/health", dependencies=[OPEN])
    async def health() -> dict[str, str]:
        """Tell that the process answers."""
        return _health()

    @router.get("/ready", dependencies=[OPEN])
    async def ready() -> Response:
        """Tell whether the database answers, too: 200, else 503."""
        try:
            async with asyncio.timeout(READY_S):
                await looks.join()
        except TimeoutError:
            return _not_ready(f"the database did not answer within {READY_S:g} s")
        except ServiceUnavailableError as error:
            _log.warning("not ready: %s: %s", error, error.__cause__)
            return _not_ready(str(error))
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
            plane.threads.waiting(),
            len(plane.last_seen),
            plane.rate_limits.counts(),
            plane.long_polls.counts(),
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


class _Looks:
    """Looks at the database, one at a time: those who ask meanwhile wait for the same one."""

    def __init__(self, plane: ControlPlane) -> None:
        self._plane = plane
        self._under_way: asyncio.Task[None] | None = None

    async def join(self) -> None:
        """Return once the database has answered; who goes away before leaves the look to others.

        Raises:
            ServiceUnavailableError: it cannot be used.
        """
        if self._under_way is None:
            look = self._plane.threads.read(_look, self._plane.store)
            self._under_way = asyncio.create_task(look, name="ready")
            self._under_way.add_done_callback(self._end)
        await asyncio.shield(self._under_way)

    def _end(self, look: "asyncio.Task[None]") -> None:
        self._under_way = None
        if not look.cancelled():
            look.exception()  # is no news, even if nobody waits for it any more


def _not_ready(reason: str) -> Response:
    return JSONResponse({"ready": False, "reason": reason}, status_code=503)


def _look(store: Store) -> None:
    with store.system_snapshot() as tx:
        tx.setting(_SETTING)
