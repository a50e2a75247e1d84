"""Server-sent events as an answer: headers late, heartbeats, errors inside, and hang-ups noticed.

The headers go out with the first event, so that an error before it keeps its status; or, where that
takes long, after a moment's patience, so that a proxy in between does not give up. From then on a
comment goes out whenever nothing else does, and an error is an event of its own.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import aclosing
from time import perf_counter
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from octomil.control.api.hang_ups import ended, gone
from octomil.control.api.problems import as_api_error, problem_body
from octomil.control.api.requests import request_id_of_scope
from octomil.errors import ApiError
from octomil.http.sse import encode_event

PATIENCE_S: Final = 1.0
"""So long the headers wait for the first event."""
HEARTBEAT_S: Final = 10.0
"""Seconds without an event after which a comment goes out; proxies give up after 15 and more."""

STALLED_S: Final = 60.0
"""A client that takes nothing for so long is given up: what is made for it, others wait for."""

_log = logging.getLogger("octomil.control")

_HEARTBEAT: Final = b": still there\n\n"
_HEADERS: Final = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),
]


class EventStream(Response):
    """Sends events as they come, until they end or nobody takes them any more.

    Args:
        events: the data of each event; closed whenever the stream ends.
        patience_s: how long the headers wait for the first one.
        heartbeat_s: seconds without an event after which a comment goes out.
        stalled_s: seconds that a client may take nothing, beyond those.
    """

    media_type = "text/event-stream"

    def __init__(
        self,
        events: AsyncGenerator[bytes, None],
        *,
        patience_s: float = PATIENCE_S,
        heartbeat_s: float = HEARTBEAT_S,
        stalled_s: float = STALLED_S,
    ) -> None:
        super().__init__()
        self._events = events
        self._patience_s = patience_s
        self._heartbeat_s = heartbeat_s
        self._stalled_s = stalled_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer the request.

        Raises:
            Exception: what `events` raised before the headers were sent.
        """
        line = _Line(send)
        telling = asyncio.ensure_future(self._tell(scope, line))
        beating = asyncio.ensure_future(self._keep_alive(line))
        watching = asyncio.ensure_future(gone(receive))
        try:
            await asyncio.wait((telling, beating, watching), return_when=asyncio.FIRST_COMPLETED)
            if telling.done():
                await telling
        finally:
            await ended(telling, beating, watching)

    async def _keep_alive(self, line: "_Line") -> None:
        """Send a comment whenever nothing else was sent for a while, until nobody takes it."""
        await asyncio.sleep(self._patience_s)
        if not line.is_open:
            await line.send(_HEARTBEAT)
        try:
            while True:
                left_s = line.sent_at_s + self._heartbeat_s - perf_counter()
                if left_s > 0:
                    await asyncio.sleep(left_s)
                else:
                    async with asyncio.timeout(self._stalled_s):
                        await line.send(_HEARTBEAT)
        except TimeoutError:
            return

    async def _tell(self, scope: Scope, line: "_Line") -> None:
        try:
            async with aclosing(self._events) as events:
                async for data in events:
                    await line.send(encode_event(data))
        except Exception as error:
            if line.refuse():
                raise
            told = as_api_error(Request(scope), error)
            await line.send(_error_event(told, request_id_of_scope(scope)))
            if told.status == 500:  # nobody is told more than that, but for the log
                _log.exception("request %s failed in its stream", request_id_of_scope(scope))
        await line.end()


class _Line:
    """What goes to the client: headers once, then events and, in their absence, comments.

    Attributes:
        sent_at_s: when the client had taken the last of it, by `perf_counter`.
        is_open: whether the headers are on their way.
    """

    def __init__(self, send: Send) -> None:
        self._send = send
        self.sent_at_s = perf_counter()
        self._turn = asyncio.Lock()  # a comment must not overtake the headers
        self.is_open = False
        self._is_refused = False

    def refuse(self) -> bool:
        """Send nothing any more, if nothing was sent; tell whether that is so."""
        self._is_refused = not self.is_open
        return self._is_refused

    async def send(self, events: bytes) -> None:
        """Send events, the headers before the first; nothing where the request was refused."""
        async with self._turn:
            if self._is_refused:  # a comment came due before whoever refuses could stop it
                return
            if not self.is_open:
                self.is_open = True
                start = {"type": "http.response.start", "status": 200, "headers": [*_HEADERS]}
                await self._send(start)
            await self._send({"type": "http.response.body", "body": events, "more_body": True})
            self.sent_at_s = perf_counter()

    async def end(self) -> None:
        """End the answer."""
        if not self.is_open:
            await self.send(b"")
        await self._send({"type": "http.response.body", "body": b"", "more_body": False})


def _error_event(error: ApiError, request_id: str) -> bytes:
    return b"event: error\n" + encode_event(problem_body(error, request_id))
