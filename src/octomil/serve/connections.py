"""What a connection may keep the server waiting for, and make it hold, before there is a request.

uvicorn bounds neither the size of a head nor the time it takes, and both come before any key is
asked for.
"""

import asyncio
from http import HTTPStatus
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from octomil.serve.answers import JSON, Header
from octomil.serve.errors import HttpError, error_answer
from octomil.serve.limits import BODY_TIMEOUT_S

MAX_HEAD_BYTES = 64 * 1024

_CLOSE: Header = (b"connection", b"close")


class BoundedConnection(HttpToolsProtocol):
    """A connection whose heads are limited in size, and in the time they take to arrive.

    The size is that of the bytes which the parser has taken since it last gave something away, a
    whole head or a piece of a body; so a trailer is bounded as well. The clock runs whenever there
    is no request at work and uvicorn's own clock, for idle connections, does not run either.

    Attributes:
        head_timeout_s: seconds until a head must be whole.
    """

    head_timeout_s: float = BODY_TIMEOUT_S

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._held_bytes = 0
        self._head_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Expect a head soon."""
        super().connection_made(transport)
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
                self._refuse(_too_large())

    def on_headers_complete(self) -> None:
        """Start a request."""
        self._held_bytes = 0
        self._stop_clock()
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Hand on a piece of a body."""
        self._held_bytes = 0
        super().on_body(body)

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no HTTP."""
        self._refuse(HttpError(400, f"this is no request: {msg}", code="invalid_http"))

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
            self._refuse(_too_slow(self.head_timeout_s))
        else:
            self.transport.close()

    def _refuse(self, error: HttpError) -> None:
        """Close the connection; say why, unless that would end up inside another answer."""
        if self._is_free() and not self.transport.is_closing():
            answer = error_answer(error)
            length = (b"content-length", b"%d" % len(answer.body))
            status = f"HTTP/1.1 {answer.status} {HTTPStatus(answer.status).phrase}\r\n".encode()
            lines = (b"%b: %b\r\n" % header for header in (JSON, length, _CLOSE))
            self.transport.write(b"".join((status, *lines, b"\r\n", answer.body)))
        self.transport.close()


def bounded_connection(timeout_s: float) -> type[BoundedConnection]:
    """Return the protocol for uvicorn, which makes its connections itself."""
    return type("BoundedConnection", (BoundedConnection,), {"head_timeout_s": timeout_s})


def _too_large() -> HttpError:
    message = f"the request line and headers are larger than {MAX_HEAD_BYTES // 1024} KiB"
    return HttpError(431, message, code="request_headers_too_large")


def _too_slow(timeout_s: float) -> HttpError:
    message = f"the headers did not arrive within {timeout_s:g} s"
    return HttpError(408, message, code="request_timeout")
