"""One model's try at a request: its turn in the queue, its cost, and what is noted of it."""

from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager
from time import perf_counter
from typing import Any

from octomil.engines.base import Completion, Engine, EventStream, GenerationRequest, Pace
from octomil.engines.gather import gather
from octomil.errors import (
    EngineCrashedError,
    EngineRefusedError,
    EngineUnavailableError,
    InvalidRequestError,
)
from octomil.routing.tiers import TIER_NUMBERS
from octomil.serve.breakers import Call
from octomil.serve.escalation import LowConfidenceError, confident
from octomil.serve.logprob_support import LogprobSupport
from octomil.serve.node import Node
from octomil.serve.observation import Observation
from octomil.serve.till import Bill

_UNREAD = (EngineUnavailableError, EngineCrashedError, EngineRefusedError, InvalidRequestError)
"""Failures before anything was generated, for which no server charges."""


class Attempt:
    """A model at work on a request; what it uses is noted while it works.

    Args:
        engine: the model's.
        call: what the engine's breaker is told.
        bill: what the model costs.
        seen: where the try is noted.
        logprobs: which engines tell log-probabilities.
    """

    def __init__(
        self, engine: Engine, call: Call, bill: Bill, seen: Observation, logprobs: LogprobSupport
    ) -> None:
        self.engine = engine
        self._logprobs = logprobs
        self._call = call
        self._bill = bill
        self._seen = seen

    def stream(self, request: GenerationRequest, *, check: bool) -> EventStream:
        """Answer piece by piece.

        Args:
            request: what is asked.
            check: whether an unsure answer raises `LowConfidenceError`, where the engine can tell.
        """
        request = self._bounded(request)
        if check and self._may_doubt(request):
            stream = confident(self.engine, request, self._learn)
        else:
            stream = self.engine.stream(request)
        self._seen.usage = stream.usage
        if self._call.is_probe:
            return EventStream(self._announced(stream), stream.usage)
        return stream

    async def complete(self, request: GenerationRequest, *, check: bool) -> Completion:
        """Answer in one piece, errors as `stream` has them.

        Where the price is known, or the engine gathers a stream itself, it streams all the same:
        only so is it known what was used, and when, if the client leaves before the end.
        """
        check = check and self._may_doubt(request)
        seen, began = self._seen, perf_counter()
        if check or self._bill.has_price or self.engine.capabilities.gathers:
            stream = self.stream(request, check=check)
            return await gather(request.endpoint, stream, seen.timing)
        completion = await self.engine.generate(request)
        seen.usage = completion.usage
        seen.pace = Pace(seen.usage.completion_tokens, perf_counter() - began)
        return completion

    def _may_doubt(self, request: GenerationRequest) -> bool:
        """Tell whether log-probabilities of the answer can be had; an echoed prompt hides them."""
        is_able = self.engine.capabilities.logprobs and self._logprobs.may_tell(self._seen.model)
        return is_able and not request.body.get("echo")

    def _learn(self, tells: bool) -> None:
        self._logprobs.learn(self._seen.model, tells=tells)

    def _bounded(self, request: GenerationRequest) -> GenerationRequest:
        """Tell the model to stop where the cap counts on it."""
        if self._bill.limit is None:
            return request
        return GenerationRequest(request.endpoint, {**request.body, "max_tokens": self._bill.limit})

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
        loads: whether to load the model in its turn, if need be, rather than to refuse; a lazy one
            always is.

    Raises:
        EngineUnavailableError: the engine cannot be asked now, or may cost more than is left.
        QueueError: there was no turn to be had.
    """
    seen.turn_to(name)
    tier = ""
    if node.router is not None and name in node.router.models:
        tier = node.router.models[name].tier
        seen.tier = TIER_NUMBERS[tier]
    loads = loads or node.pool[name].lazy
    if not loads:
        node.pool.engine(name)
    node.breakers.require(name)
    async with node.till.open(name, body) as bill, node.turnstile(name).turn(seen.waited):
        if loads:
            await node.pool.ready(name)
        with (
            node.pool.using(name) as held,
            node.breakers.call(name) as call,
            node.usages.call(held.release, tier),
        ):
            try:
                yield Attempt(held.engine, call, bill, seen, node.logprobs)
            except BaseException as error:
                if seen.usage.completion_tokens or not isinstance(error, _UNREAD):
                    bill.charge(seen.usage, is_cut=True)
                seen.cost_usd = bill.usd
                if isinstance(error, LowConfidenceError):
                    seen.drop()
                raise
            seen.cost_usd = bill.charge(seen.usage)
