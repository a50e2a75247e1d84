"""A node inside the test's own process, wired by the real composition root."""

from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager
from typing import Any

import httpx

from octomil.compose import build_node, fetch_models
from octomil.config import Settings
from octomil.engines.base import Engine
from octomil.engines.pool import EnginePool
from octomil.routing.router import QueryRouter
from octomil.routing.tiers import assign_tiers
from octomil.serve.app import build_app
from octomil.serve.node import Node
from octomil.serve.options import ServeOptions
from octomil.serve.recorder import Recorder
from octomil.serve.served import ServedModel
from octomil.serve.stats import RoutingStats


@asynccontextmanager
async def composed_node(
    *models: str, env: Mapping[str, str] | None = None, **options: Any
) -> AsyncIterator[Node]:
    """A loaded node as `octomil serve --models …` would wire it."""
    settings = Settings.from_env(env or {})
    chosen = ServeOptions(models=models, **options)
    node = build_node(settings, chosen, fetch_models(settings, chosen), log=None)
    await node.pool.start()
    try:
        yield node
    finally:
        await node.close()


@asynccontextmanager
async def node_of(
    engines: Mapping[str, Engine], *, lazy: Collection[str] = (), **options: Any
) -> AsyncIterator[Node]:
    """A routing node over engines of the test's own making, loaded but for the lazy ones."""
    names = list(engines)
    pool = EnginePool(print)
    for name, engine in engines.items():
        pool.add(name, engine, lazy=name in lazy)
    node = Node(
        models={name: ServedModel(name=name) for name in names},
        pool=pool,
        recorder=Recorder(RoutingStats(names), None),
        router=QueryRouter(assign_tiers(names)),
        **options,
    )
    await pool.start()
    try:
        yield node
    finally:
        await node.close()


@asynccontextmanager
async def client_of(node: Node, **options: Any) -> AsyncIterator[httpx.AsyncClient]:
    """An HTTP client of the node's application; a fault that escapes it fails the test."""
    transport = httpx.ASGITransport(build_app(node, **options))
    async with httpx.AsyncClient(transport=transport, base_url="http://node") as client:
        yield client


def chat(content: Any, **body: Any) -> dict[str, Any]:
    """The body of a chat request with one user message."""
    return {"model": "auto", "messages": [{"role": "user", "content": content}], **body}
