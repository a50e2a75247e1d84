"""Answers of models: whole, piece by piece, in batches, and as vectors."""

from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from contextlib import aclosing, contextmanager
from dataclasses import replace
from time import perf_counter
from typing import Final
from uuid import uuid4

from epochly.inference.metrics.instruments import Metric
from octomil.control.inference_metrics import NOBODY, InferenceMetrics
from octomil.control.ports import Ending, GenerationQuery, Piece
from octomil.control.services.backend_chain import BackendChain
from octomil.control.services.callers import Caller
from octomil.control.services.generation_slots import GenerationSlots
from octomil.errors import (
    API_STATUSES,
    ApiError,
    BadRequestError,
    EngineUnavailableError,
    InvalidRequestError,
    NotFoundError,
    OctomilError,
    ServiceUnavailableError,
    UnknownModelError,
    UnprocessableError,
)
from octomil.wire.inference import (
    InferenceAnswer,
    InferenceInput,
    InferenceParameters,
    InferenceRequest,
    Message,
    TokenEvent,
    TokenUsage,
)

LOOKED_S: Final = 1.0
"""Seconds between two looks at backends that failed."""

_DEFAULTS: Final = InferenceParameters()


class InferenceService:
    """Answers requests by the chain of backends.

    Args:
        chain: what is asked.
        slots: bound what each organisation has in the making.
        metrics: count.
        clock_s: monotonic seconds.
    """

    def __init__(
        self,
        chain: BackendChain,
        slots: GenerationSlots,
        metrics: InferenceMetrics,
        clock_s: Callable[[], float] = perf_counter,
    ) -> None:
        self._chain = chain
        self._slots = slots
        self._metrics = metrics
        self._clock_s = clock_s

    async def answer(self, caller: Caller, request: InferenceRequest) -> InferenceAnswer:
        """Return a whole answer; cancelling the call stops the generation.

        Raises:
            ApiError: there is none, and why.
        """
        query = query_of(request.model_id, request)
        with self._slots.taken(caller.organisation):
            return await self._whole("inference", query)

    async def stream(
        self, caller: Caller, request: InferenceRequest
    ) -> AsyncGenerator[TokenEvent, None]:
        """Yield an answer as it is made, the last event with `done`; closing stops the generation.

        Raises:
            ApiError: there is none, or no more of it, and why.
        """
        query = query_of(request.model_id, request)
        with self._slots.taken(caller.organisation):
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
        return self._metrics.shown(asked, len(self._slots))

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
        return round(1000 * (self._clock_s() - self._began_s), 3)

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


def query_of(
    model: str, given: InferenceInput, defaults: InferenceParameters | None = None, at: str = ""
) -> GenerationQuery:
    """Return what a backend is asked.

    Args:
        model: as the caller calls it.
        given: the conversation, in one of its two forms.
        defaults: parameters for an input that has none of its own.
        at: what comes before its fields in messages to the caller, such as `inputs.3.`.

    Raises:
        UnprocessableError: there is no conversation, or more than one.
    """
    if (given.messages is None) == (given.input_data is None):
        problem = "give either `messages` or `input_data`"
        field = f"{at}messages"
        raise UnprocessableError(
            f"{field}: {problem}", {"fields": [{"field": field, "problem": problem}]}
        )
    said = given.messages if given.messages is not None else given.input_data
    messages: Sequence[Message] = (
        [Message(role="user", content=said)] if isinstance(said, str) else said or []
    )
    parameters = given.parameters or defaults or _DEFAULTS
    return GenerationQuery(model=model, messages=messages, parameters=parameters)


def usage_of(ending: Ending) -> TokenUsage:
    """Return the tokens of an answer, as they go over the wire."""
    return TokenUsage(
        prompt_tokens=ending.prompt_tokens,
        completion_tokens=ending.completion_tokens,
        total_tokens=ending.prompt_tokens + ending.completion_tokens,
    )


def as_api_error(error: OctomilError) -> ApiError:
    """Return the error that tells a caller the same.

    Example:
        >>> as_api_error(InvalidRequestError("no room", code="context_length_exceeded")).details
        {'code': 'context_length_exceeded'}
    """
    match error:
        case ApiError():
            return error
        case InvalidRequestError(param=param, code=code):
            kind = API_STATUSES.get(error.status, BadRequestError)
            named = {"param": param, "code": code}
            return kind(str(error), {name: value for name, value in named.items() if value})
        case UnknownModelError():
            return NotFoundError(f"{error}; GET /inference/health lists what there is")
        case EngineUnavailableError(retry_after_s=wait_s):
            return ServiceUnavailableError(str(error), {"retry_after_s": max(1, round(wait_s))})
        case _:
            return ServiceUnavailableError(str(error), {"retry_after_s": 1})
