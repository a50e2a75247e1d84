"""A lean HTTP/1.1 client for engines' servers, over plain TCP or a Unix socket.

It does what the gateway needs and no more: post, read or stream, keep connections, notice at once
when either side is gone. Parsing is httptools', the parser of the server in front. Per request it
costs half of what aiohttp does (`bench/gateway`); TLS, redirects and proxies stay with aiohttp.
"""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator
from typing import cast
from urllib.parse import urlsplit

import httptools

from octomil.engines.upstream import Reply, retry_after_s, trace_headers
from octomil.errors import ConfigurationError, EngineUnreachableError, GenerationError

_IDLE_S = 4.0  # below the 5 s after which common servers close a kept connection
_HIGH_WATER_BYTES = 256 * 1024


class PlainHttpUpstream:
    """An `Upstream` over plain HTTP/1.1.

    Args:
        base_url: `http://host[:port][/path]`; paths are appended to it.
        api_key: sent as a bearer token.
        unix_socket: path of the socket to connect to instead of the URL's host. Each request then
            has a connection of its own: it costs 50 µs, and a worker closes kept ones as it likes.
        connect_timeout_s: seconds to get a connection.
        read_timeout_s: seconds between two reads; None waits for ever, for a local engine that
            may prefill for minutes.
        idle_s: seconds after which a kept connection is not used again.

    Raises:
        ConfigurationError: the URL is no plain HTTP URL.
    """

    def __init__(
        self,
        base_url: str,
        *,
        api_key: str | None = None,
        unix_socket: str | None = None,
        connect_timeout_s: float = 10.0,
        read_timeout_s: float | None = None,
        idle_s: float = _IDLE_S,
    ) -> None:
        url = urlsplit(base_url)
        if url.scheme != "http" or not url.hostname:
            raise ConfigurationError(f"{base_url!r} is not a plain http:// URL")
        self.base_url = base_url.rstrip("/")
        self._host, self._port = url.hostname, url.port or 80
        self._path = url.path.rstrip("/")
        self._unix_socket = unix_socket
        self._connect_timeout_s, self._read_timeout_s = connect_timeout_s, read_timeout_s
        self._idle_s = idle_s
        self._idle: deque[_Connection] = deque()
        host = url.netloc.rpartition("@")[2]
        key = f"Authorization: Bearer {api_key}\r\n" if api_key else ""
        self._head = f"Host: {host}\r\n{key}Content-Type: application/json\r\nContent-Length: "

    async def request(self, method: str, path: str, body: bytes | None = None) -> Reply:
        """Send a request and read the whole answer."""
        connection = await self._send(method, path, body)
        try:
            while not connection.complete:
                await connection.more()
        except BaseException:
            connection.abort()
            raise
        reply = connection.reply()
        self._give_back(connection)
        return reply

    async def stream(self, path: str, body: bytes) -> AsyncGenerator[bytes | Reply, None]:
        """Post `body` and yield the answer as it arrives."""
        connection = await self._send("POST", path, body)
        try:
            while connection.status == 200 and (connection.body or not connection.complete):
                if connection.body:
                    yield connection.take()
                else:
                    await connection.more()
            while not connection.complete:
                await connection.more()
            if connection.status != 200:
                yield connection.reply()
        except BaseException:
            connection.abort()
            raise
        self._give_back(connection)

    async def close(self) -> None:
        """Close the kept connections."""
        while self._idle:
            self._idle.pop().abort()

    async def _send(self, method: str, path: str, body: bytes | None) -> "_Connection":
        """Send a request and wait for its first answer, on a kept connection if one still lives."""
        payload = body or b""
        trace = "".join(f"{name}: {value}\r\n" for name, value in trace_headers().items())
        head = f"{method} {self._path}{path} HTTP/1.1\r\n{trace}{self._head}{len(payload)}\r\n\r\n"
        message = head.encode("latin-1") + payload
        kept = self._kept()
        while True:
            connection = kept or await self._connect()
            try:
                connection.send(message)
                while connection.status == 0:
                    await connection.more()
            except GenerationError:
                connection.abort()
                if kept is None or connection.answered:
                    raise
                kept = None  # it had been closed meanwhile: once more, on a new one
            except BaseException:
                connection.abort()
                raise
            else:
                return connection

    def _kept(self) -> "_Connection | None":
        oldest = asyncio.get_running_loop().time() - self._idle_s
        while self._idle:
            connection = self._idle.pop()
            if not connection.lost and connection.idle_since > oldest:
                return connection
            connection.abort()
        return None

    async def _connect(self) -> "_Connection":
        loop = asyncio.get_running_loop()

        def protocol() -> _Connection:
            return _Connection(loop, self.base_url, self._read_timeout_s)

        try:
            async with asyncio.timeout(self._connect_timeout_s):
                if self._unix_socket:
                    _, made = await loop.create_unix_connection(protocol, self._unix_socket)
                else:
                    _, made = await loop.create_connection(protocol, self._host, self._port)
        except (OSError, TimeoutError) as error:
            reason = str(error) or "it took too long"
            raise EngineUnreachableError(f"cannot connect to {self.base_url}: {reason}") from error
        return made

    def _give_back(self, connection: "_Connection") -> None:
        if connection.reusable and not self._unix_socket:
            connection.rest()
            self._idle.append(connection)
        else:
            connection.abort()


class _Connection(asyncio.Protocol):
    """One connection: sends a request, and holds what has come of the answer."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, url: str, read_timeout_s: float | None
    ) -> None:
        self._loop, self._url, self._read_timeout_s = loop, url, read_timeout_s
        self._transport: asyncio.Transport | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._last_read = 0.0
        self._paused = False
        self.lost = False
        self.idle_since = 0.0
        self._begin()

    def _begin(self) -> None:
        self._parser = httptools.HttpResponseParser(self)
        self._sized = False
        self._buffered = 0
        self._retry_after = ""
        self._failure: GenerationError | None = None
        self.body: list[bytes] = []
        self.status = 0
        self.answered = False
        self.complete = False
        self.reusable = False

    # What the upstream calls.

    def send(self, message: bytes) -> None:
        """Start a request."""
        self._begin()
        if self._transport is None or self.lost:
            raise self._broken("it was closed")
        if self._read_timeout_s is not None:
            self._last_read = self._loop.time()
            if self._timer is None:  # it goes on from one request to the next
                self._timer = self._loop.call_later(self._read_timeout_s, self._check_silence)
        self._transport.write(message)

    async def more(self) -> None:
        """Return when something new has come.

        Raises:
            GenerationError: nothing more will come.
        """
        self._raise_failure()
        if self._paused and self._transport is not None:
            self._paused = False
            self._transport.resume_reading()
        self._waiter = self._loop.create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None
        self._raise_failure()

    def take(self) -> bytes:
        """Return the body received since the last call."""
        data = self.body[0] if len(self.body) == 1 else b"".join(self.body)
        self.body, self._buffered = [], 0
        return data

    def reply(self) -> Reply:
        """Return the whole answer."""
        return Reply(self.status, self.take(), retry_after_s(self._retry_after))

    def rest(self) -> None:
        """Wait for the next request."""
        self.idle_since = self._loop.time()

    def abort(self) -> None:
        """Drop the connection; the server sees at once that nobody reads any more."""
        self._stop_timer()
        if self._transport is not None:
            self._transport.abort()

    # What the event loop calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(
            "asyncio.Transport", transport
        )  # uvloop's is one by duck typing only

    def data_received(self, data: bytes) -> None:
        self.answered = True
        self._last_read = self._loop.time() if self._timer is not None else 0.0
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self._fail(self._broken(f"it answered no valid HTTP: {error}"))
            return
        if self._buffered > _HIGH_WATER_BYTES and self._transport is not None:
            self._paused = True
            self._transport.pause_reading()
        self._wake()

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost = True
        if self.status and not self.complete and not self._sized and exc is None:
            self.complete = True  # a body without a length ends with its connection
            self.reusable = False
            self._wake()
        elif not self.complete:
            self._fail(self._broken(str(exc) if exc else "the server closed the connection"))

    # What the parser calls.

    def on_header(self, name: bytes, value: bytes) -> None:
        lowered = name.lower()
        if lowered in (b"content-length", b"transfer-encoding"):
            self._sized = True
        elif lowered == b"retry-after":
            self._retry_after = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        status = self._parser.get_status_code()
        if status >= 200:
            self.status = status

    def on_body(self, body: bytes) -> None:
        self.body.append(body)
        self._buffered += len(body)

    def on_message_complete(self) -> None:
        if self.status:
            self.complete = True
            self.reusable = self._parser.should_keep_alive()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _fail(self, failure: GenerationError) -> None:
        self._failure = self._failure or failure
        self._stop_timer()
        self._wake()

    def _raise_failure(self) -> None:
        if self._failure is not None and not self.complete:
            raise self._failure

    def _check_silence(self) -> None:
        assert self._read_timeout_s is not None
        self._timer = None
        if self.complete:
            return
        left = self._last_read + self._read_timeout_s - self._loop.time()
        if left > 0:
            self._timer = self._loop.call_later(left, self._check_silence)
            return
        self._fail(GenerationError(f"{self._url} sent nothing in time"))
        self.abort()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _broken(self, reason: str) -> GenerationError:
        return GenerationError(f"the connection to {self._url} broke: {reason}")
