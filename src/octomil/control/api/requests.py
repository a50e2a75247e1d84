"""What every request goes through before its route: an id, a bound on its body, and counting."""

import asyncio
from collections.abc import Iterator
from time import perf_counter
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from epochly.inference.context.request import new_request_id
from octomil.asgi.headers import headers_of
from octomil.asgi.request_ids import sent_id
from octomil.control.api.answer_headers import rate_limit_headers, safe_headers
from octomil.control.body_memory import Hold
from octomil.control.metrics import ControlMetrics

REQUEST_ID = "octomil.request_id"
"""Where the scope of a request says what it is called."""
ROUTE = "octomil.route"
"""Where it says which pattern its path matched, if no framework's route was asked."""
RATE_LIMIT = "octomil.rate_limit"
"""Where it says how much of the caller's limit is left."""

HELD_S = "octomil.held_s"
"""Where it says how long it waited for news, which is no part of how fast it was answered."""

NO_ROUTE = "none"
"""The route of requests for paths that there are not."""


def request_id_of_scope(scope: Scope) -> str:
    """Return what a request is called."""
    name: str = scope.get(REQUEST_ID, "")
    return name


class Requests:
    """Gives each request its id, which goes out with the answer, and counts it.

    Args:
        app: what answers.
        metrics: what counts.
    """

    def __init__(self, app: ASGIApp, metrics: ControlMetrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = perf_counter()
        scope[REQUEST_ID] = name = sent_id(scope) or new_request_id()
        status = 0

        async def send_named(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], *_added(scope, message, name)]
            await send(message)

        try:
            await self._app(scope, receive, send_named)
        finally:
            route = _route(scope)
            taken_s = perf_counter() - started - scope.get(HELD_S, 0.0)
            self._metrics.request(scope["method"], route, status, taken_s)


def _added(scope: Scope, message: Message, name: str) -> Iterator[tuple[bytes, bytes]]:
    yield b"x-request-id", name.encode()
    yield from safe_headers(message["headers"], scope["scheme"])
    if (decision := scope.get(RATE_LIMIT)) is not None:
        yield from rate_limit_headers(decision)


def _route(scope: Scope) -> str:
    """Return the pattern that a request's path matched, so that series stay few."""
    route: Any = scope.get("route")
    named: str = scope.get(ROUTE, NO_ROUTE) if route is None else route.path
    return named


class BodyTooLargeError(Exception):
    """A body is larger than what is taken."""


class BodyTooSlowError(Exception):
    """A body did not arrive in time."""


async def read_whole_body(
    scope: Scope, receive: Receive, hold: Hold, *, max_bytes: int, timeout_s: float
) -> bytes | None:
    """Return a request's body, or None if the client hung up.

    Args:
        scope: the request's.
        receive: the ASGI channel from the client.
        hold: is told of bytes before they are kept.
        max_bytes: what the body may have.
        timeout_s: how long it may take.

    Raises:
        NoMemoryLeftError: there is no room for it.
        BodyTooLargeError: it has more than `max_bytes`.
        BodyTooSlowError: it took longer than `timeout_s`.
    """
    announced = headers_of(scope).get(b"content-length", b"")
    if announced.isdigit() and int(announced) > max_bytes:
        raise BodyTooLargeError
    parts: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(timeout_s):
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    return None
                part = message.get("body", b"")
                size += len(part)
                if size > max_bytes:
                    raise BodyTooLargeError
                hold(len(part))
                parts.append(part)
                if not message.get("more_body", False):
                    return b"".join(parts)
    except TimeoutError:
        raise BodyTooSlowError from None


def replayed(body: bytes, receive: Receive) -> Receive:
    """Return a channel that brings a body again, and then what the client really does."""
    is_read = False

    async def receive_again() -> Message:
        nonlocal is_read
        if is_read:
            return await receive()
        is_read = True
        return {"type": "http.request", "body": body, "more_body": False}

    return receive_again
