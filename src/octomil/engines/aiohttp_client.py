"""The client for servers behind TLS, redirects or anything else that is not plain HTTP."""

from collections.abc import AsyncGenerator

import aiohttp

from octomil.engines.upstream import Reply, retry_after_s, trace_headers
from octomil.errors import ConfigurationError, EngineUnreachableError, GenerationError

_KEEP_ALIVE_S = 4.0  # below the 5 s after which common servers close a kept connection


class AiohttpUpstream:
    """An `Upstream` over aiohttp.

    Args:
        base_url: what paths are appended to, without a trailing slash.
        api_key: sent as a bearer token.
        connect_timeout_s: seconds to get a connection.
        read_timeout_s: seconds between two reads; None waits for ever.

    Raises:
        ConfigurationError: the URL is no HTTP URL.
    """

    def __init__(
        self,
        base_url: str,
        *,
        api_key: str | None = None,
        connect_timeout_s: float = 10.0,
        read_timeout_s: float | None = None,
    ) -> None:
        if not base_url.startswith(("http://", "https://")):
            raise ConfigurationError(f"{base_url!r} is no http:// or https:// URL")
        self.base_url = base_url.rstrip("/")
        self._headers = {"Content-Type": "application/json"}
        if api_key:
            self._headers["Authorization"] = f"Bearer {api_key}"
        self._timeout = aiohttp.ClientTimeout(
            total=None, sock_connect=connect_timeout_s, sock_read=read_timeout_s
        )
        self._session: aiohttp.ClientSession | None = None

    async def request(self, method: str, path: str, body: bytes | None = None) -> Reply:
        """Send a request and read the whole answer."""
        with _naming(self.base_url):
            async with await self._open(method, path, body) as response:
                return Reply(
                    response.status,
                    await response.read(),
                    retry_after_s(response.headers.get("Retry-After", "")),
                )

    async def stream(self, path: str, body: bytes) -> AsyncGenerator[bytes | Reply, None]:
        """Post `body` and yield the answer as it arrives."""
        with _naming(self.base_url):
            async with await self._open("POST", path, body) as response:
                if response.status != 200:
                    yield Reply(
                        response.status,
                        await response.read(),
                        retry_after_s(response.headers.get("Retry-After", "")),
                    )
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
        url, headers = self.base_url + path, trace_headers()
        try:
            return await session.request(method, url, data=body, headers=headers)
        except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError) as error:
            if isinstance(error, aiohttp.ClientConnectorError) or _had_begun(error):
                raise
            return await session.request(method, url, data=body, headers=headers)

    def _connect(self) -> aiohttp.ClientSession:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=0, ttl_dns_cache=60, keepalive_timeout=_KEEP_ALIVE_S
            ),
            headers=self._headers,
            timeout=self._timeout,
            cookie_jar=aiohttp.DummyCookieJar(),
        )
        return self._session


def _had_begun(error: aiohttp.ClientError) -> bool:
    """Tell whether the answer had begun: what there was of it stands in place of a message."""
    return isinstance(error, aiohttp.ServerDisconnectedError) and not isinstance(error.message, str)


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
            raise EngineUnreachableError(f"cannot connect to {self._url}: {error}") from error
        if isinstance(error, TimeoutError):
            raise GenerationError(f"{self._url} sent nothing in time") from error
        reason = str(error) or type(error).__name__
        raise GenerationError(f"the connection to {self._url} broke: {reason}") from error
