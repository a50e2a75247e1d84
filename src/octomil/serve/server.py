"""Running the application: listen first, load meanwhile, drain at the end."""

import asyncio
import contextlib
import gc
import logging
import math
import signal
import socket
from collections.abc import AsyncGenerator, Callable, Generator

import uvicorn

from octomil.errors import ConfigurationError
from octomil.serve.app import build_app
from octomil.serve.connections import bounded_connection
from octomil.serve.keys import ClientKeys
from octomil.serve.node import Node
from octomil.serve.options import ServeOptions
from octomil.serve.origins import host_names
from octomil.serve.startup import load_models

_KEEP_ALIVE_S = 75
_BACKLOG = 2048


def listen(host: str, port: int) -> socket.socket:
    """Open the listening socket, before anything that takes time.

    Raises:
        ConfigurationError: the address cannot be had.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=_BACKLOG)
    except (OSError, OverflowError) as error:
        raise ConfigurationError(
            f"cannot listen on {host}:{port}: {error}; choose another with --host and --port"
        ) from error


def base_url(host: str, port: int) -> str:
    """Return where a node that listens on `host` can be called.

    >>> base_url("::", 8080)
    'http://[::]:8080'
    """
    if host in ("127.0.0.1", "::1"):
        host = "localhost"
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def run(
    node: Node,
    options: ServeOptions,
    listener: socket.socket,
    say: Callable[[str], None],
    when_ready: Callable[[str], None],
) -> None:
    """Serve until SIGTERM or SIGINT, then drain and return.

    Args:
        node: what answers.
        options: how to serve.
        listener: an open listening socket.
        say: called with each start-up line.
        when_ready: called with the node's URL once every model can answer.

    Raises:
        Exception: a model could not be loaded, an `OctomilError` if that was to be expected.
    """
    url = base_url(options.host, listener.getsockname()[1])
    failures: list[Exception] = []

    async def load() -> None:
        try:
            await load_models(node, say)
        except Exception as error:  # noqa: BLE001 - raised below, once the server has ended
            failures.append(error)
            server.should_exit = True
        else:
            gc.collect()
            gc.freeze()  # what start-up made stays; looking through it would hold requests up 20 ms
            say(f"[serve] Listening on {url}")
            when_ready(url)

    @contextlib.asynccontextmanager
    async def loading() -> AsyncGenerator[None]:
        task = asyncio.create_task(load(), name="load models")
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await node.close()

    app = build_app(
        node,
        keys=ClientKeys.parse(options.api_keys),
        cors_origins=options.cors_origins,
        allowed_hosts=host_names(
            options.host, options.allowed_hosts, has_key=bool(options.api_keys)
        ),
        body_timeout_s=options.body_timeout_s,
        on_start=loading,
    )
    logging.basicConfig(format="[%(name)s] %(message)s", level=logging.WARNING)
    logging.getLogger("uvicorn.error").addFilter(_is_news)
    server = _Server(
        uvicorn.Config(
            app,
            http=bounded_connection(options.body_timeout_s),
            loop="auto",
            ws="none",
            lifespan="on",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_keep_alive=_KEEP_ALIVE_S,
            timeout_graceful_shutdown=math.ceil(options.drain_s),
        )
    )
    server.run(sockets=[listener])
    if failures:
        raise failures[0]


def _is_news(record: logging.LogRecord) -> bool:
    """Leave out what clients cause, and the requests that the end of draining cancels."""
    cancelled = record.exc_info and isinstance(record.exc_info[1], asyncio.CancelledError)
    return record.levelno >= logging.ERROR and not cancelled


class _Server(uvicorn.Server):
    """A server that returns after a signal, instead of dying of it once it has drained."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        handled = (signal.SIGINT, signal.SIGTERM)
        before = {number: signal.signal(number, self.handle_exit) for number in handled}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
