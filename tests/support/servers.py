"""An ASGI application on a socket, in a thread of its own."""

import asyncio
import socket
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

import uvicorn
from starlette.types import ASGIApp

from support.waiting import PATIENCE_S


@contextmanager
def app_served(
    app: ASGIApp,
    before: Callable[[], Awaitable[None]] | None = None,
    listener: socket.socket | None = None,
) -> Iterator[str]:
    """Serve `app` until the block ends; yields its URL.

    `before` runs first, in the same loop; `listener` is bound, and does not listen yet.
    """
    listener = listener or socket.create_server(("127.0.0.1", 0))
    listener.listen()
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, ws="none", lifespan="off"))

    async def main() -> None:
        if before is not None:
            await before()
        await server.serve(sockets=[listener])

    thread = threading.Thread(target=asyncio.run, args=(main(),), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(PATIENCE_S)
        listener.close()
