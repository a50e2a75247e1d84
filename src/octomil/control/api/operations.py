"""`/health`, `/ready` and `/metrics`: how the control plane itself fares."""

import asyncio
import logging
from functools import partial
from itertools import chain
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
from octomil.control.api.callers import OPEN
from octomil.control.api.planes import Plane
from octomil.control.ports import Store
from octomil.errors import ServiceUnavailableError

READY_S: Final = 2.0
"""So long the database may take to show that it answers."""

_SETTING = "format_version"
_log = logging.getLogger("octomil.control")

router = APIRouter(tags=["operations"])


@router.get("/health", dependencies=[OPEN])
async def health() -> dict[str, str]:
    """Tell that the process answers."""
    return alive()


@router.get("/ready", dependencies=[OPEN])
async def ready(plane: Plane) -> Response:
    """Tell whether the database answers, too: 200, else 503."""
    try:
        async with asyncio.timeout(READY_S):
            await plane.looks.join(partial(plane.threads.read, _look, plane.store))
    except TimeoutError:
        return _not_ready(f"the database did not answer within {READY_S:g} s")
    except ServiceUnavailableError as error:
        _log.warning("not ready: %s: %s", error, error.__cause__)
        return _not_ready(str(error))
    return JSONResponse({"ready": True})


def _media_type(content_type: str) -> str:
    return content_type.partition(";")[0]


@router.get(
    "/metrics",
    dependencies=[OPEN],
    response_class=Response,
    responses={200: {"content": {_media_type(form): {} for form in (CLASSIC, OPENMETRICS)}}},
)
async def metrics(plane: Plane, request: Request) -> Response:
    """Return every metric, in Prometheus' text format or OpenMetrics."""
    shown = plane.metrics.shown(
        plane.threads.waiting(),
        len(plane.last_seen),
        plane.rate_limits.counts(),
        plane.long_polls.counts(),
    )
    openmetrics = wants_openmetrics(request.headers.get("accept", ""))
    text = exposition(chain(shown, plane.inference.shown()), openmetrics=openmetrics)
    return Response(text, headers={"content-type": OPENMETRICS if openmetrics else CLASSIC})


def alive() -> dict[str, Any]:
    """Return what `/health` says."""
    return {"status": "ok", "version": __version__}


def _not_ready(reason: str) -> Response:
    return JSONResponse({"ready": False, "reason": reason}, status_code=503)


def _look(store: Store) -> None:
    with store.system_snapshot() as tx:
        tx.setting(_SETTING)
