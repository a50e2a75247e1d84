"""The ASGI application: routes, middleware, errors in one form, and the jobs beside them."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from functools import cache
from typing import Any, cast

from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware
from starlette.routing import Router
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from octomil._version import __version__
from octomil.control.api import operations, telemetry
from octomil.control.api.arriving import is_streamed
from octomil.control.api.bodies import MAX_BODY_BYTES, BodyLimits
from octomil.control.api.catalog import PREFIX, ROUTERS
from octomil.control.api.links import with_links
from octomil.control.api.planes import PLANE
from octomil.control.api.polls import AssignmentPolls
from octomil.control.api.problems import OURS, on_error
from octomil.control.api.requests import Requests
from octomil.control.body_memory import BodyMemory
from octomil.control.dashboard import page
from octomil.control.jobs.catalog import (
    jobs_of,
    write_key_uses,
    write_last_seen,
    write_route_counts,
    write_stages,
)
from octomil.control.jobs.timers import running
from octomil.control.plane import ControlPlane
from octomil.errors import ServiceUnavailableError
from octomil.wire.problems import Problem

_LAST_WRITES_S = 5.0
_ADDRESSES = 8
"""So many clients can fill the memory for bodies, and no fewer."""
_log = logging.getLogger("octomil.control")

_EXPOSED = (
    "X-Request-Id",
    "Retry-After",
    "RateLimit-Limit",
    "RateLimit-Remaining",
    "RateLimit-Reset",
    "ETag",
    "Upload-Offset",
    "Content-Range",
    "Repr-Digest",
    "Idempotent-Replayed",
)
_ALLOWED = (
    "Authorization",
    "Content-Type",
    "Idempotency-Key",
    "If-None-Match",
    "If-Range",
    "Range",
    "Upload-Offset",
)


def build_app(
    plane: ControlPlane,
    *,
    cors_origins: Sequence[str] = (),
    trusted_proxies: Sequence[str] = (),
    body_memory_bytes: int = 256 << 20,
) -> ASGIApp:
    """Return the application that drives `plane`, and closes it at the end of its life.

    Args:
        plane: the wired control plane.
        cors_origins: origins whose pages may call; none by default.
        trusted_proxies: addresses and networks that are believed for whom they ask, by
            `X-Forwarded-For` and `X-Forwarded-Proto`; none by default.
        body_memory_bytes: what the bodies of all requests together may take in memory; of one
            address an eighth, or one body of the largest kind if that is more.
    """
    app: ASGIApp = _OfPlane(framework_app(), plane)
    memory = BodyMemory(body_memory_bytes, max(body_memory_bytes // _ADDRESSES, MAX_BODY_BYTES))
    plane.metrics.tell_of_bodies(lambda: memory.held_bytes)
    app = BodyLimits(app, memory, is_streamed=is_streamed)
    app = AssignmentPolls(app, plane, f"{PREFIX}/devices/")
    app = Requests(app, plane.metrics)
    if cors_origins:
        app = CORSMiddleware(
            app,
            allow_origins=list(cors_origins),
            allow_methods=["GET", "POST", "PATCH", "PUT", "DELETE"],
            allow_headers=list(_ALLOWED),
            expose_headers=list(_EXPOSED),
        )
    if trusted_proxies:  # uvicorn has names of its own for the same types
        app = cast("ASGIApp", ProxyHeadersMiddleware(cast("Any", app), list(trusted_proxies)))
    return app


@cache
def framework_app() -> FastAPI:
    """Return the framework's application, which knows every path and the OpenAPI document.

    There is one in a process, for all planes: making its routes is most of the work of a start.
    """
    app = _Linked(
        title="Octomil control plane",
        version=__version__,
        redirect_slashes=False,
        docs_url=None,
        redoc_url=None,
        openapi_url=f"{PREFIX}/openapi.json",
        responses={"default": {"model": Problem, "description": "What went wrong."}},
    )
    for kind in OURS:
        app.add_exception_handler(kind, on_error)
    for router in (operations.router, telemetry.router, page.router):
        app.include_router(router)
    for router in ROUTERS:
        app.include_router(router, prefix=PREFIX)
    return app


class _Linked(FastAPI):
    """Tells in its OpenAPI document, too, what leads from one operation to the next."""

    def openapi(self) -> dict[str, Any]:
        """Return the document, made once."""
        if self.openapi_schema is None:
            self.openapi_schema = with_links(super().openapi())
        return self.openapi_schema


class _OfPlane:
    """Hands a plane on with each request, and lives as long as that.

    Args:
        app: what answers for any plane.
        plane: the one it is to answer for.
    """

    def __init__(self, app: ASGIApp, plane: ControlPlane) -> None:
        self._app = app
        self._plane = plane
        self._life = Router(lifespan=lambda _: life_of(plane))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on; begin and end the plane's life when the server does its own."""
        if scope["type"] == "lifespan":
            await self._life(scope, receive, send)
            return
        scope[PLANE] = self._plane
        await self._app(scope, receive, send)


@asynccontextmanager
async def life_of(plane: ControlPlane) -> AsyncGenerator[None]:
    """Run the plane's jobs; write down what waits and close the plane at the end."""
    try:
        async with running(jobs_of(plane)):
            yield
        await _write_what_waits(plane)
    finally:
        try:
            await plane.rate_limits.close()
            await plane.inference.close()
        finally:
            await asyncio.to_thread(plane.close)


async def _write_what_waits(plane: ControlPlane) -> None:
    """Write down who was here last, and what was counted, if the database takes it soon."""
    try:
        async with asyncio.timeout(_LAST_WRITES_S):
            await write_last_seen(plane)
            await write_key_uses(plane)
            await write_route_counts(plane)
            await write_stages(plane)
    except (TimeoutError, ServiceUnavailableError) as error:
        _log.warning("the last notes could not be written: %s", str(error) or "no answer")
