"""One model's try at a request: its turn in the queue, its cost, and what is noted of it."""

from asyncio import CancelledError
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager
from typing import Any

from octomil.engines.base import Completion, Engine, EventStream, GenerationRequest
from octomil.engines.gather import gather
from octomil.routing.tiers import TIER_NUMBERS
from octomil.serve.breakers import Call
from octomil.serve.escalation import LowConfidenceError, confident
from octomil.serve.node import Node
from octomil.serve.observation import Observation
from octomil.serve.till import Bill


class Attempt:
    """A model at work on a request; what it uses is noted while it works.

    Args:
        engine: the model's.
        call: what the engine's breaker is told.
        bill: what the model costs.
        seen: where the try is noted.
    """

    def __init__(self, engine: Engine, call: Call, bill: Bill, seen: Observation) -> None:
        self.engine = engine
        self._call = call
        self._bill = bill
        self._seen = seen

    def stream(self, request: GenerationRequest, *, check: bool) -> EventStream:
        """Answer piece by piece.

        Args:
            request: what is asked.
            check: whether an unsure answer raises `LowConfidenceError`, where the engine can tell.
        """
        check = check and self.engine.capabilities.logprobs
        stream = confident(self.engine, request) if check else self.engine.stream(request)
        self._seen.usage = stream.usage
        if self._call.is_probe:
            return EventStream(self._announced(stream), stream.usage)
        return stream

    async def complete(self, request: GenerationRequest, *, check: bool) -> Completion:
        """Answer in one piece, errors as `stream` has them.

        Where the price is known the engine streams all the same: only so is it known what was used
        if the client leaves before the end.
        """
        check = check and self.engine.capabilities.logprobs
        if check or self._bill.has_price:
            return await gather(request.endpoint, self.stream(request, check=check))
        completion = await self.engine.generate(request)
        self._seen.usage = completion.usage
        return completion

    async def _announced(self, stream: EventStream) -> AsyncGenerator[bytes, None]:
        async with aclosing(stream.events) as events:
            async for block in events:
                self._call.answered()
                yield block


@asynccontextmanager
async def attempt(
    node: Node, name: str, body: Mapping[str, Any], seen: Observation, *, loads: bool = False
) -> AsyncIterator[Attempt]:
    """Wait for a model's turn and yield its engine at work; note the cost however the block ends.

    Args:
        node: who has the model.
        name: the model.
        body: the request.
        seen: where the try is noted.
        loads: whether to load the model in its turn, if need be, rather than to refuse.

    Raises:
        EngineUnavailableError: the engine cannot be asked now, or may cost more than is left.
        QueueError: there was no turn to be had.
    """
    seen.turn_to(name)
    if node.router is not None and name in node.router.models:
        seen.tier = TIER_NUMBERS[node.router.models[name].tier]
    if not loads:
        node.pool.engine(name)
    node.breakers.require(name)
    with node.till.open(name, body) as bill:
        async with node.turnstile(name).turn() as seen.queue_s:
            engine = await node.pool.ready(name) if loads else node.pool.engine(name)
            with node.breakers.call(name) as call:
                try:
                    yield Attempt(engine, call, bill, seen)
                except BaseException as error:
                    given_up = isinstance(error, LowConfidenceError | CancelledError)
                    is_cut = given_up or seen.usage.completion_tokens > 0
                    seen.cost_usd = bill.charge(seen.usage, is_cut=is_cut)
                    if isinstance(error, LowConfidenceError):
                        seen.drop()
                    raise
                seen.cost_usd = bill.charge(seen.usage)
