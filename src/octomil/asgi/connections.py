"""What a connection may keep the server waiting for, and make it hold, before there is a request.

uvicorn bounds neither the size of a head nor the time it takes, and both come before any key is
asked for.
"""

import asyncio
import json
from collections.abc import Callable
from enum import IntEnum
from http import HTTPStatus
from typing import Any, ClassVar

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from octomil.asgi.one_piece import OnePieceTransport

MAX_HEAD_BYTES = 64 * 1024


class BadHead(IntEnum):
    """Why there is no request, by the HTTP status that tells of it."""

    INVALID_HTTP = 400
    TOO_SLOW = 408
    TOO_LARGE = 431


Render = Callable[[BadHead, str], bytes]
"""Makes the JSON body of such an answer out of the reason and a message."""


class BoundedConnection(HttpToolsProtocol):
    """A connection whose heads are limited in size, and in the time they take to arrive.

    The size is that of the bytes which the parser has taken since it last gave something away, a
    whole head or a piece of a body; so a trailer is bounded as well. The clock runs whenever there
    is no request at work and uvicorn's own clock, for idle connections, does not run either.

    Attributes:
        head_timeout_s: seconds until a head must be whole.
    """

    head_timeout_s: ClassVar[float]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._held_bytes = 0
        self._head_timer: asyncio.TimerHandle | None = None

    # uvicorn's own signature is narrower than asyncio's, too.
    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Expect a head soon."""
        super().connection_made(transport)
        self._answers = OnePieceTransport(transport, self.loop)
        self._start_clock()

    def connection_lost(self, exc: Exception | None) -> None:
        """Expect nothing more."""
        self._stop_clock()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse what came, in pieces small enough to stop in time."""
        held_bytes = self._held_bytes + len(data)
        if held_bytes < MAX_HEAD_BYTES:
            self._held_bytes = held_bytes
            super().data_received(data)
        else:
            self._parse_pieces(data)
        if self._head_timer is None and self._is_free():
            self._start_clock()

    def _parse_pieces(self, data: bytes) -> None:
        while data and not self.transport.is_closing():
            room = MAX_HEAD_BYTES - self._held_bytes
            piece, data = data[:room], data[room:]
            self._held_bytes += len(piece)
            super().data_received(piece)
            if self._held_bytes >= MAX_HEAD_BYTES:
                self._refuse(BadHead.TOO_LARGE, _TOO_LARGE)

    def on_headers_complete(self) -> None:
        """Start a request."""
        self._held_bytes = 0
        self._stop_clock()
        super().on_headers_complete()
        if self.cycle is not None:
            self.cycle.transport = self._answers

    def on_body(self, body: bytes) -> None:
        """Hand on a piece of a body."""
        self._held_bytes = 0
        super().on_body(body)

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no HTTP."""
        self._refuse(BadHead.INVALID_HTTP, f"this is no request: {msg}")

    @staticmethod
    def render(why: BadHead, message: str) -> bytes:
        """Return the body of a refusal; `bounded_connection` puts its own in place of this."""
        return json.dumps({"status": why, "message": message}).encode()

    def _is_free(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    def _start_clock(self) -> None:
        self._head_timer = self.loop.call_later(self.head_timeout_s, self._lose_patience)

    def _stop_clock(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _lose_patience(self) -> None:
        if self._held_bytes:
            message = f"the headers did not arrive within {self.head_timeout_s:g} s"
            self._refuse(BadHead.TOO_SLOW, message)
        else:
            self.transport.close()

    def _refuse(self, why: BadHead, message: str) -> None:
        """Close the connection; say why, unless that would end up inside another answer."""
        if self._is_free() and not self.transport.is_closing():
            body = self.render(why, message)
            head = (
                f"HTTP/1.1 {why} {HTTPStatus(why).phrase}\r\ncontent-type: application/json\r\n"
                f"content-length: {len(body)}\r\nconnection: close\r\n\r\n"
            )
            self.transport.write(head.encode() + body)
        self.transport.close()


_TOO_LARGE = f"the request line and headers are larger than {MAX_HEAD_BYTES // 1024} KiB"


def bounded_connection(timeout_s: float, render: Render) -> type[BoundedConnection]:
    """Return the protocol for uvicorn, which makes its connections itself.

    Args:
        timeout_s: until a head must be whole.
        render: makes the bodies of refusals.
    """
    bounds = {"head_timeout_s": timeout_s, "render": staticmethod(render)}
    return type("BoundedConnection", (BoundedConnection,), bounds)
