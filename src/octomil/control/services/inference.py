"""Answers of models: whole, piece by piece, in batches, and as vectors."""

from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import aclosing, contextmanager
from dataclasses import replace
from functools import partial
from time import perf_counter
from typing import Final
from uuid import uuid4

from epochly.inference.metrics.instruments import Metric
from octomil.control.backend_metrics import NOBODY, BackendMetrics
from octomil.control.ports import Ending, GenerationQuery, Piece
from octomil.control.services.backend_chain import BackendChain
from octomil.control.services.backend_health import health_of
from octomil.control.services.callers import Caller
from octomil.control.services.generation_slots import GenerationSlots
from octomil.control.services.inference_batches import answer_all
from octomil.control.services.inference_values import as_api_error, query_of, since_ms, usage_of
from octomil.errors import OctomilError
from octomil.wire.inference import (
    BatchAnswer,
    BatchRequest,
    EmbeddingRow,
    EmbeddingsAnswer,
    EmbeddingsRequest,
    EmbeddingsUsage,
    InferenceAnswer,
    InferenceHealth,
    InferenceRequest,
    TokenEvent,
)

LOOKED_S: Final = 1.0
"""Seconds between two looks at backends that failed."""


class InferenceService:
    """Answers requests by the chain of backends.

    Args:
        chain: what is asked.
        slots: bound what each organisation has in the making.
        metrics: count.
        clock_s: monotonic seconds.

    Attributes:
        slots: see above.
    """

    def __init__(
        self,
        chain: BackendChain,
        slots: GenerationSlots,
        metrics: BackendMetrics,
        clock_s: Callable[[], float] = perf_counter,
    ) -> None:
        self._chain = chain
        self.slots = slots
        self._metrics = metrics
        self._clock_s = clock_s

    async def answer(self, caller: Caller, request: InferenceRequest) -> InferenceAnswer:
        """Return a whole answer; cancelling the call stops the generation.

        Raises:
            ApiError: there is none, and why.
        """
        query = query_of(request.model_id, request)
        with self.slots.taken(caller.organisation):
            return await self._whole("inference", query)

    async def batch(self, caller: Caller, request: BatchRequest) -> BatchAnswer:
        """Answer several inputs, each by itself; cancelling the call stops all of them.

        Raises:
            ApiError: none was begun, and why.
        """
        began_s = self._clock_s()
        queries = [
            query_of(request.model_id, each, request.parameters, at=f"inputs.{index}.")
            for index, each in enumerate(request.inputs)
        ]
        at_once = min(request.max_concurrency, len(queries))
        with self.slots.taken(caller.organisation, at_once) as workers:
            answer = partial(self._whole, "batch")
            results = await answer_all(queries, answer, workers, self._clock_s)
        succeeded = sum(each.error is None for each in results)
        return BatchAnswer(
            model_id=request.model_id,
            results=results,
            succeeded=succeeded,
            failed=len(results) - succeeded,
            latency_ms=since_ms(began_s, self._clock_s()),
        )

    async def embed(self, caller: Caller, request: EmbeddingsRequest) -> EmbeddingsAnswer:
        """Turn texts into vectors; cancelling the call stops it.

        Raises:
            ApiError: there are none, and why.
        """
        texts = [request.input] if isinstance(request.input, str) else request.input
        told = _Telling(self._clock_s)
        with self.slots.taken(caller.organisation), self._counted("embeddings", told):
            told.provider, found = await self._chain.embed(request.model_id, texts)
            self._metrics.used(told.provider, found.prompt_tokens, 0)
        rows = enumerate(found.vectors)
        tokens = found.prompt_tokens
        return EmbeddingsAnswer(
            data=[EmbeddingRow(index=index, embedding=list(vector)) for index, vector in rows],
            model=request.model_id,
            provider=told.provider,
            usage=EmbeddingsUsage(prompt_tokens=tokens, total_tokens=tokens),
        )

    async def health(self) -> InferenceHealth:
        """Ask every backend for its models, and tell how they fare."""
        return await health_of(self._chain.links, self._clock_s)

    async def stream(
        self, caller: Caller, request: InferenceRequest
    ) -> AsyncGenerator[TokenEvent, None]:
        """Yield an answer as it is made, the last event with `done`; closing stops the generation.

        Raises:
            ApiError: there is none, or no more of it, and why.
        """
        query = query_of(request.model_id, request)
        with self.slots.taken(caller.organisation):
            told = _Telling(self._clock_s)
            async with aclosing(self._pieces("stream", query, told)) as pieces:
                async for piece in pieces:
                    if piece.text:
                        yield told.event(piece.text)
                    if piece.ending is not None:
                        yield told.last(piece.ending)

    def shown(self) -> Iterator[Metric]:
        """Yield what was counted, for `/metrics`."""
        asked = {link.name: link.is_asked for link in self._chain.links}
        return self._metrics.shown(asked, len(self.slots))

    async def look(self) -> None:
        """Find out which of the backends that failed are well again."""
        await self._chain.look()

    async def close(self) -> None:
        """Close the backends."""
        await self._chain.close()

    async def _whole(self, operation: str, query: GenerationQuery) -> InferenceAnswer:
        told, texts = _Telling(self._clock_s), list[str]()
        ending = Ending("stop", 0, 0)
        async with aclosing(self._pieces(operation, query, told)) as pieces:
            async for piece in pieces:
                texts.append(piece.text)
                ending = piece.ending or ending
        return InferenceAnswer(
            output="".join(texts),
            latency_ms=told.latency_ms(),
            provider=told.provider,
            model_id=query.model,
            usage=usage_of(ending),
            finish_reason=ending.finish_reason,
            session_id=told.session_id,
        )

    async def _pieces(
        self, operation: str, query: GenerationQuery, told: "_Telling"
    ) -> AsyncGenerator[Piece, None]:
        """Yield an answer's pieces, counted however it ends."""
        with self._counted(operation, told):
            generation = await self._chain.begin(query)
            told.provider = generation.provider
            self._metrics.first_chunk(told.provider, told.latency_ms() / 1000)
            async with aclosing(generation):
                async for piece in generation:
                    if piece.ending is not None:
                        self._metrics.used(told.provider, *piece.ending[1:])
                    yield piece

    @contextmanager
    def _counted(self, operation: str, told: "_Telling") -> Iterator[None]:
        """Count a request by how the block ends; its errors become the API's.

        Raises:
            ApiError: in place of an error of a backend's.
        """
        outcome = "cancelled"
        try:
            yield
            outcome = "answered"
        except OctomilError as error:
            refused = as_api_error(error)
            has_begun = told.provider != NOBODY
            is_ours = refused.status >= 500
            outcome = "failed" if has_begun else "unavailable" if is_ours else "refused"
            raise refused from error
        finally:
            self._metrics.ended(operation, told.provider, outcome)


class _Telling:
    """What is told of an answer besides its text."""

    def __init__(self, clock_s: Callable[[], float]) -> None:
        self._clock_s = clock_s
        self._began_s = clock_s()
        self.provider = NOBODY
        self.session_id = f"ses_{uuid4().hex}"

    def latency_ms(self) -> float:
        return since_ms(self._began_s, self._clock_s())

    def event(self, text: str) -> TokenEvent:
        return TokenEvent(
            token=text,
            done=False,
            provider=self.provider,
            latency_ms=self.latency_ms(),
            session_id=self.session_id,
        )

    def last(self, ending: Ending) -> TokenEvent:
        return replace(
            self.event(""),
            done=True,
            usage=usage_of(ending),
            finish_reason=ending.finish_reason,
        )
