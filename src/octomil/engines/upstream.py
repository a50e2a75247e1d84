"""The HTTP port between this process and an engine's server.

Two clients implement it: a lean one for plain HTTP and Unix sockets, which is where local engines
are, and aiohttp for the rest. Neither is httpx, which costs eight times aiohttp's CPU per request
with 32 connections open.
"""

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Protocol

from epochly.inference.context.request import current_request
from octomil.http.retry import parse_retry_after

_LONGEST_RETRY_S = 86_400.0


@dataclass(frozen=True, slots=True)
class Reply:
    """An HTTP answer: status, body, and how long to wait before another try, if it says so."""

    status: int
    body: bytes
    retry_after_s: float | None = None


class Upstream(Protocol):
    """Sends requests to one server, each with the `trace_headers` of whoever it is sent for."""

    async def request(self, method: str, path: str, body: bytes | None = None) -> Reply:
        """Send a request and read the whole answer.

        Raises:
            EngineUnreachableError: no connection.
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


def open_upstream(
    base_url: str,
    *,
    api_key: str | None = None,
    unix_socket: str | None = None,
    connect_timeout_s: float = 10.0,
    read_timeout_s: float | None = None,
) -> Upstream:
    """Return the client that fits a server's address; it connects with the first request.

    Args:
        base_url: what paths are appended to.
        api_key: sent as a bearer token.
        unix_socket: path of the socket to connect to instead of the URL's host.
        connect_timeout_s: seconds to get a connection.
        read_timeout_s: seconds between two reads; None waits for ever, for a local engine that
            may prefill for minutes.

    Raises:
        ConfigurationError: the URL is no HTTP URL.
    """
    if base_url.startswith("http://"):
        from octomil.engines.plain_http import PlainHttpUpstream

        return PlainHttpUpstream(
            base_url,
            api_key=api_key,
            unix_socket=unix_socket,
            connect_timeout_s=connect_timeout_s,
            read_timeout_s=read_timeout_s,
        )
    from octomil.engines.aiohttp_client import AiohttpUpstream

    return AiohttpUpstream(
        base_url,
        api_key=api_key,
        connect_timeout_s=connect_timeout_s,
        read_timeout_s=read_timeout_s,
    )


def trace_headers() -> dict[str, str]:
    """Return the headers that carry the trace of the request at hand on; none without a trace."""
    request = current_request()
    trace = request.trace if request is not None else None
    return trace.headers() if trace is not None else {}


def retry_after_s(value: str) -> float | None:
    """Read a `Retry-After` header: seconds, also fractions of them, or a date."""
    if not value or not value.isascii():
        return None
    try:
        seconds = float(value)
    except ValueError:
        return parse_retry_after(value)
    return seconds if 0 <= seconds < _LONGEST_RETRY_S else None
