"""The HTTP client between this process and an engine's server.

aiohttp, because it costs an eighth of httpx's CPU per request with 32 connections open; behind a
port of two methods, so that it can be replaced.
"""

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Protocol

import aiohttp

from octomil.errors import EngineUnavailableError, GenerationError


_KEEP_ALIVE_S = 4.0  # below the 5 s after which common servers close a kept connection


@dataclass(frozen=True, slots=True)
class Reply:
    """An HTTP answer: status, body, and how long to wait before another try, if it says so."""

    status: int
    body: bytes
    retry_after_s: float | None = None


class Upstream(Protocol):
    """Sends requests to one server."""

    async def request(self, method: str, path: str, body: bytes | None = None) -> Reply:
        """Send a request and read the whole answer.

        Raises:
            EngineUnavailableError: no connection.
            GenerationError: the connection broke, or nothing came in time.
        """
        ...

    def stream(self, path: str, body: bytes) -> AsyncGenerator[bytes | Reply, None]:
        """Post `body` and yield the answer as it arrives.

        An answer that is no success is yielded whole, as one `Reply`. Raises what `request` does.
        """
        ...

    async def close(self) -> None:
        """Close the connections."""
        ...


class AiohttpUpstream:
    """An `Upstream` over aiohttp, by TCP or by a Unix socket.

    Args:
        base_url: what paths are appended to, without a trailing slash.
        api_key: sent as a bearer token.
        unix_socket: path of the socket to connect to instead of the URL's host.
        connect_timeout_s: seconds to get a connection.
        read_timeout_s: seconds between two reads; None waits for ever, for a local engine that
            may prefill for minutes.
    """

    def __init__(
        self,
        base_url: str,
        *,
        api_key: str | None = None,
        unix_socket: str | None = None,
        connect_timeout_s: float = 10.0,
        read_timeout_s: float | None = None,
    ) -> None:
        self.base_url = base_url.rstrip("/")
        self._headers = {"Content-Type": "application/json"}
        if api_key:
            self._headers["Authorization"] = f"Bearer {api_key}"
        self._unix_socket = unix_socket
        self._timeout = aiohttp.ClientTimeout(
            total=None, sock_connect=connect_timeout_s, sock_read=read_timeout_s
        )
        self._session: aiohttp.ClientSession | None = None

    async def request(self, method: str, path: str, body: bytes | None = None) -> Reply:
        """Send a request and read the whole answer."""
        with _naming(self.base_url):
            async with await self._open(method, path, body) as response:
                return Reply(response.status, await response.read(), _retry_after_s(response))

    async def stream(self, path: str, body: bytes) -> AsyncGenerator[bytes | Reply, None]:
        """Post `body` and yield the answer as it arrives."""
        with _naming(self.base_url):
            async with await self._open("POST", path, body) as response:
                if response.status != 200:
                    yield Reply(response.status, await response.read(), _retry_after_s(response))
                    return
                async for chunk in response.content.iter_any():
                    yield chunk

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def _open(self, method: str, path: str, body: bytes | None) -> aiohttp.ClientResponse:
        """Send a request, once more if a kept connection turns out to have been closed."""
        session = self._session or self._connect()
        try:
            return await session.request(method, self.base_url + path, data=body)
        except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError) as error:
            if self._unix_socket or isinstance(error, aiohttp.ClientConnectorError):
                raise
            return await session.request(method, self.base_url + path, data=body)

    def _connect(self) -> aiohttp.ClientSession:
        connector: aiohttp.BaseConnector
        if self._unix_socket:
            # A new connection costs 50 µs here, and a worker closes kept ones when it pleases.
            connector = aiohttp.UnixConnector(self._unix_socket, limit=0, force_close=True)
        else:
            connector = aiohttp.TCPConnector(
                limit=0, ttl_dns_cache=60, keepalive_timeout=_KEEP_ALIVE_S
            )
        self._session = aiohttp.ClientSession(
            connector=connector,
            headers=self._headers,
            timeout=self._timeout,
            cookie_jar=aiohttp.DummyCookieJar(),
        )
        return self._session


class _naming:  # noqa: N801 - reads as the context manager it is
    """Turn aiohttp's exceptions into ours, with the address in the message."""

    __slots__ = ("_url",)

    def __init__(self, url: str) -> None:
        self._url = url

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if error is None or not isinstance(error, aiohttp.ClientError | TimeoutError | OSError):
            return
        if isinstance(error, aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError):
            raise EngineUnavailableError(f"cannot connect to {self._url}: {error}") from error
        if isinstance(error, TimeoutError):
            raise GenerationError(f"{self._url} sent nothing in time") from error
        reason = str(error) or type(error).__name__
        raise GenerationError(f"the connection to {self._url} broke: {reason}") from error


def _retry_after_s(response: aiohttp.ClientResponse) -> float | None:
    value = response.headers.get("Retry-After", "")
    return float(value) if value.replace(".", "", 1).isdigit() else None
