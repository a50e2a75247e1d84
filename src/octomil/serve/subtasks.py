"""One task of a message while a model answers it; what it says waits here for its turn."""

import asyncio
from collections.abc import Iterator
from contextlib import aclosing
from time import perf_counter

import msgspec

from octomil.engines.base import GenerationRequest
from octomil.errors import GenerationError
from octomil.http.sse import event_data
from octomil.routing.router import RoutingDecision
from octomil.serve.attempts import attempt
from octomil.serve.escalation import WALKED_ON, LowConfidenceError
from octomil.serve.node import Node
from octomil.serve.observation import Observation


class _Delta(msgspec.Struct):
    content: str | None = None
    refusal: str | None = None


class _Choice(msgspec.Struct):
    delta: _Delta | None = None


class _Chunk(msgspec.Struct):
    choices: list[_Choice] | None = None


_decode = msgspec.json.Decoder(_Chunk).decode


class TaskRun:
    """Asks the models of one task's chain, in turn, until one of them answers.

    As long as nothing of the answer has been taken, another model can begin it anew.

    Args:
        decision: where the task goes; an answer without a model is there at once.

    Attributes:
        seen: what is known about it, for the records.
    """

    def __init__(self, decision: RoutingDecision) -> None:
        self._decision = decision
        self._pieces: list[str] = []
        self._taken = 0
        self._news = asyncio.Event()
        self._done = asyncio.Event()
        self.seen = Observation(
            model=decision.model_name, tier=decision.tier_number, routed=True, outcome="cancelled"
        )
        if decision.deterministic is not None:
            self.seen.outcome = "stop"
            self._pieces.append(decision.deterministic.answer)
            self._finish()

    @property
    def needs_no_model(self) -> bool:
        """Whether the answer was there from the beginning."""
        return self._decision.deterministic is not None

    async def whole_text(self) -> str:
        """Wait for the end of the answer and return all of it."""
        await self._done.wait()
        return "".join(self._pieces)

    async def take(self) -> str | None:
        """Wait for more of the answer and return it; None after its end."""
        while self._taken == len(self._pieces):
            if self._done.is_set():
                return None
            self._news.clear()
            await self._news.wait()
        text = "".join(self._pieces[self._taken :])
        self._taken = len(self._pieces)
        return text

    async def run(self, node: Node, request: GenerationRequest, places: "Places") -> None:
        """Let the task's models answer `request`, one after the other.

        Args:
            node: who has the models.
            request: the task, as a chat request.
            places: how many tasks of the message a model may work on.

        Raises:
            OctomilError: the last model failed, or one whose answer has been taken in part.
        """
        candidates = node.candidates(self._decision, request.body, doubting=node.fallback)
        for name in candidates:
            try:
                async with places.of(name):
                    await self._ask(node, name, request, check=candidates.may_doubt)
            except LowConfidenceError:
                candidates.doubt()
            except WALKED_ON:
                if candidates.is_last or self._taken:
                    raise
                self._pieces.clear()
            else:
                break
        self._finish()

    async def _ask(self, node: Node, name: str, request: GenerationRequest, *, check: bool) -> None:
        seen = self.seen
        async with attempt(node, name, request.body, seen) as at_work:
            stream = at_work.stream(request, check=check)
            async with aclosing(stream.events) as events:
                async for block in events:
                    self._take_in(block)
        seen.outcome = seen.usage.finish_reason or "stop"

    def _take_in(self, block: bytes) -> None:
        timing = self.seen.timing
        timing.last_at = perf_counter()
        for text in _texts(block):
            if not self._pieces:
                timing.begin(timing.last_at, tokens=self.seen.usage.completion_tokens)
            self._pieces.append(text)
            self._news.set()

    def _finish(self) -> None:
        self._done.set()
        self._news.set()


class Places:
    """Keeps the tasks of one message from crowding a model's queue: no more than it works on."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._places: dict[str, asyncio.Semaphore] = {}

    def of(self, name: str) -> asyncio.Semaphore:
        """Return the places that the message's tasks have at a model."""
        if name not in self._places:
            slots = self._node.pool[name].engine.capabilities.max_concurrency
            self._places[name] = asyncio.Semaphore(slots)
        return self._places[name]


def _texts(block: bytes) -> Iterator[str]:
    """Yield what the chunks of a block say.

    Reasoning is left out: in an answer to several tasks nothing would tell whose it is.

    Raises:
        GenerationError: a chunk makes no sense.
    """
    for data in event_data(block):
        try:
            chunk = _decode(data)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise GenerationError(f"the engine sent a senseless chunk: {error}") from error
        for choice in chunk.choices or ():
            text = choice.delta and (choice.delta.content or choice.delta.refusal)
            if text:
                yield text
