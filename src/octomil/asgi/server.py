"""Running an ASGI application: listen first, serve until a signal, drain, return."""

import asyncio
import contextlib
import logging
import math
import signal
import socket
from collections.abc import Callable, Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import uvicorn
from starlette.types import ASGIApp

from octomil.errors import ConfigurationError

_KEEP_ALIVE_S = 75
_BACKLOG = 2048


def listen(host: str, port: int, flags: str = "--host and --port") -> socket.socket:
    """Open the listening socket, before anything that takes time.

    Args:
        host: the address to listen on.
        port: 0 takes a free one.
        flags: how another place is chosen, for the error message.

    Raises:
        ConfigurationError: the address cannot be had.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=_BACKLOG)
    except (OSError, OverflowError) as error:
        raise ConfigurationError(
            f"cannot listen on {host}:{port}: {error}; choose another with {flags}"
        ) from error


def base_url(host: str, port: int, scheme: Literal["http", "https"] = "http") -> str:
    """Return where a server that listens on `host` can be called.

    >>> base_url("::", 8080)
    'http://[::]:8080'
    """
    if host in ("127.0.0.1", "::1"):
        host = "localhost"
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"


@dataclass(frozen=True, slots=True)
class Certificate:
    """What TLS needs, as PEM files.

    Attributes:
        chain: the server's certificate, followed by those between it and the authority's.
        key: its private key.
    """

    chain: Path
    key: Path


class GracefulServer(uvicorn.Server):
    """A server that returns after a signal, instead of dying of it once it has drained.

    Args:
        app: what answers.
        http: the protocol of a connection, which bounds what comes before a request is whole.
        drain_s: seconds that running requests get to finish.
        certificate: for TLS; None for plain HTTP.
        when_ready: called once requests are answered.
        when_leaving: called after a signal, before running requests are waited for.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        http: type[asyncio.Protocol],
        drain_s: float,
        certificate: Certificate | None = None,
        when_ready: Callable[[], None] = lambda: None,
        when_leaving: Callable[[], None] = lambda: None,
    ) -> None:
        self._when_ready, self._when_leaving = when_ready, when_leaving
        logging.basicConfig(format="[%(name)s] %(message)s", level=logging.WARNING)
        logging.getLogger("uvicorn.error").addFilter(_is_news)
        super().__init__(
            uvicorn.Config(
                app,
                http=http,
                loop="auto",
                ws="none",
                lifespan="on",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
                timeout_keep_alive=_KEEP_ALIVE_S,
                timeout_graceful_shutdown=math.ceil(drain_s),
                ssl_certfile=certificate.chain if certificate else None,
                ssl_keyfile=certificate.key if certificate else None,
            )
        )

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start the application, then tell that it is ready."""
        await super().startup(sockets)
        if self.started:
            self._when_ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Let the application know, then drain."""
        self._when_leaving()
        await super().shutdown(sockets)

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        """Drain at SIGTERM and SIGINT; what handled them before does so again afterwards."""
        handled = (signal.SIGINT, signal.SIGTERM)
        before = {number: signal.signal(number, self.handle_exit) for number in handled}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


@contextlib.contextmanager
def ended_by_interrupt() -> Generator[None]:
    """Let Ctrl-C end this process at once, as SIGTERM does, until something else handles it.

    A `KeyboardInterrupt` is lost where it comes into what has nobody to raise it to, such as a
    finaliser or a native library's callback; then what was to end starts all the same.
    """
    before = signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _is_news(record: logging.LogRecord) -> bool:
    """Leave out what clients cause, and the requests that the end of draining cancels."""
    cancelled = record.exc_info and isinstance(record.exc_info[1], asyncio.CancelledError)
    return record.levelno >= logging.ERROR and not cancelled
