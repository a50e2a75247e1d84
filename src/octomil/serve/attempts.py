"""One model's try at a request: its turn in the queue, its cost, and what is noted of it."""

from asyncio import CancelledError
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from octomil.engines.base import Engine, Usage
from octomil.routing.tiers import TIER_NUMBERS
from octomil.serve.escalation import LowConfidenceError
from octomil.serve.node import Node
from octomil.serve.observation import Dropped, Observation


@asynccontextmanager
async def attempt(
    node: Node, name: str, body: Mapping[str, Any], seen: Observation
) -> AsyncIterator[Engine]:
    """Wait for a model's turn and yield its engine; note the cost however the block ends.

    Args:
        node: who has the model.
        name: the model.
        body: the request.
        seen: where the try is noted; whoever uses the engine puts its usage there.

    Raises:
        EngineUnavailableError: the engine cannot be asked now, or may cost more than is left.
        QueueError: there was no turn to be had.
    """
    seen.model, seen.usage, seen.cost_usd = name, Usage(), 0.0
    if node.router is not None and name in node.router.models:
        seen.tier = TIER_NUMBERS[node.router.models[name].tier]
    engine = node.pool.engine(name)
    with node.till.open(name, body) as bill:
        async with node.turnstile(name).turn() as seen.queue_s:
            try:
                yield engine
            except LowConfidenceError:
                seen.cost_usd = bill.charge(seen.usage, is_cut=True)
                seen.dropped.append(Dropped(name, seen.tier, seen.usage, seen.cost_usd))
                raise
            except CancelledError:
                seen.cost_usd = bill.charge(seen.usage, is_cut=True)
                raise
            except BaseException:
                seen.cost_usd = bill.charge(seen.usage)
                raise
            seen.cost_usd = bill.charge(seen.usage)
