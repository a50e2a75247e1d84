"""Running the application: listen first, load meanwhile, drain at the end."""

import asyncio
import socket
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager

from octomil.asgi.connections import bounded_connection
from octomil.asgi.memory import settle_memory
from octomil.asgi.server import GracefulServer, base_url
from octomil.serve.app import build_app
from octomil.serve.connections import refusal_body
from octomil.serve.keys import ClientKeys
from octomil.serve.node import Node
from octomil.serve.options import ServeOptions
from octomil.serve.origins import host_names
from octomil.serve.startup import Instead, load_models


def run(
    node: Node,
    options: ServeOptions,
    listener: socket.socket,
    say: Callable[[str], None],
    when_ready: Callable[[str], None],
    *,
    beside: Callable[[], AbstractAsyncContextManager[None]] | None = None,
    instead: Instead | None = None,
) -> None:
    """Serve until SIGTERM or SIGINT, then drain and return.

    Args:
        node: what answers.
        options: how to serve.
        listener: an open listening socket.
        say: called with each start-up line.
        when_ready: called with the node's URL once every model can answer.
        beside: goes on from then until the node ends; the agent of a node that is a device.
        instead: asked about a model that cannot be loaded; None where there is no other.

    Raises:
        Exception: a model could not be loaded, an `OctomilError` if that was to be expected.
    """
    url = base_url(options.host, listener.getsockname()[1])
    failures: list[Exception] = []

    async def load(until_end: AsyncExitStack) -> None:
        try:
            await load_models(node, say, instead)
            if beside is not None:
                await until_end.enter_async_context(beside())
        except Exception as error:  # noqa: BLE001 - raised below, once the server has ended
            failures.append(error)
            server.should_exit = True
        else:
            settle_memory()
            say(f"[serve] Listening on {url}")
            when_ready(url)

    @asynccontextmanager
    async def loading() -> AsyncGenerator[None]:
        async with AsyncExitStack() as until_end:
            until_end.push_async_callback(node.close)
            task = asyncio.create_task(load(until_end), name="load models")
            until_end.push_async_callback(_end, task)
            yield

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
    server = GracefulServer(
        app, http=bounded_connection(options.body_timeout_s, refusal_body), drain_s=options.drain_s
    )
    server.run(sockets=[listener])
    if failures:
        raise failures[0]


async def _end(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
