"""A small server that speaks Ollama's API as far as the node uses it.

`/api/show` answers from a table of models; `/v1` answers like Ollama's OpenAI-compatible routes,
here with the echo engine behind them.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from starlette.applications import Starlette
from starlette.routing import Mount, Route

from octomil.engines.echo import EchoEngine
from octomil.engines.pool import EnginePool
from octomil.serve.app import build_app
from octomil.serve.node import Node
from octomil.serve.recorder import Recorder
from octomil.serve.served import ServedModel
from octomil.serve.stats import RoutingStats
from support.ollama_api import MODELS, show
from support.servers import app_served


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
    app = Starlette(
        routes=[Route("/api/show", show, methods=["POST"]), Mount("/", build_app(node))],
    )
    with app_served(app, before=pool.start) as url:
        yield url
