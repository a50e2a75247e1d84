"""A small server that speaks Ollama's API as far as the node uses it.

`/api/show` answers from a table of models; `/v1` answers like Ollama's OpenAI-compatible routes,
here with the echo engine behind them.
"""

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Mount, Route

from octomil.engines.echo import EchoEngine
from octomil.engines.pool import EnginePool
from octomil.serve.app import build_app
from octomil.serve.node import Node
from octomil.serve.recorder import Recorder
from octomil.serve.served import ServedModel
from octomil.serve.stats import RoutingStats

MODELS = {
    "llama3.2:3b": {
        "capabilities": ["completion", "tools"],
        "model_info": {"general.architecture": "llama", "llama.context_length": 8192},
    },
    "all-minilm:latest": {
        "capabilities": ["embedding"],
        "model_info": {"general.architecture": "bert", "bert.context_length": 512},
    },
}


@contextmanager
def ollama() -> Iterator[str]:
    """Run the server; yields its base URL."""
    pool = EnginePool(lambda line: None)
    names = list(MODELS)
    for name in names:
        pool.add(name, EchoEngine(name))
    node = Node(
        models={name: ServedModel(name=name) for name in names},
        pool=pool,
        recorder=Recorder(RoutingStats(), None),
    )

    async def show(request: Request) -> JSONResponse:
        name = (await request.json())["model"]
        if name not in MODELS:
            return JSONResponse({"error": f"model '{name}' not found"}, status_code=404)
        return JSONResponse(MODELS[name])

    app = Starlette(
        routes=[Route("/api/show", show, methods=["POST"]), Mount("/", build_app(node))],
    )
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, ws="none", lifespan="off"))

    async def main() -> None:
        await pool.start()
        await server.serve(sockets=[listener])

    thread = threading.Thread(target=asyncio.run, args=(main(),), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(timeout=120)
        listener.close()
