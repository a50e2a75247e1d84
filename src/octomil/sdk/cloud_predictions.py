"""Predictions by the control plane, for models that this machine cannot run."""

from collections.abc import AsyncGenerator
from contextlib import aclosing, closing
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any

from octomil.engines.base import Timing
from octomil.http.api import ApiClient
from octomil.inference.queries import Messages
from octomil.inference.streaming import STREAM_TIMEOUT_S, stream_tokens, stream_tokens_async
from octomil.inference.tokens import StreamToken
from octomil.sdk.predictions import Prediction, PredictionChunk, PredictionMetrics


@dataclass(frozen=True, slots=True)
class CloudQuery:
    """A question for the control plane.

    Attributes:
        model: as its backends call it.
        messages: a conversation, or what a user says.
        parameters: those that are not left to the backend; the control plane checks them.
        reason: why this machine does not answer.
    """

    model: str
    messages: str | Messages
    parameters: dict[str, Any]
    reason: str


def answer(api: ApiClient, query: CloudQuery) -> Prediction:
    """Return an answer of the control plane.

    Raises:
        OctomilClientError: as in :func:`octomil.stream_inference`.
    """
    watch, said = _Watch(query), []
    tokens = stream_tokens(api, query.model, query.messages, query.parameters, STREAM_TIMEOUT_S)
    with closing(tokens):
        for token in tokens:
            watch.see(token)
            said.append(token.token)
    return Prediction("".join(said), watch.metrics())


async def pieces(api: ApiClient, query: CloudQuery) -> AsyncGenerator[PredictionChunk, None]:
    """Yield an answer of the control plane piece by piece; errors as in `answer`."""
    watch = _Watch(query)
    tokens = stream_tokens_async(
        api.caller, query.model, query.messages, query.parameters, STREAM_TIMEOUT_S
    )
    async with aclosing(tokens):
        async for token in tokens:
            watch.see(token)
            if token.token:
                yield PredictionChunk(token.token, watch.elapsed_ms)
    yield PredictionChunk("", watch.elapsed_ms, watch.metrics())


@dataclass(slots=True)
class _Watch:
    """Times the tokens of one answer, as they arrive here."""

    query: CloudQuery
    began_at: float = field(default_factory=perf_counter)
    timing: Timing = field(default_factory=Timing)
    last: StreamToken | None = None

    @property
    def elapsed_ms(self) -> float:
        return 1000 * (perf_counter() - self.began_at)

    def see(self, token: StreamToken) -> None:
        self.last = token
        if token.token:
            self.timing.last_at = perf_counter()
            if self.timing.first_at is None:
                self.timing.begin(self.timing.last_at, tokens=1)

    def metrics(self) -> PredictionMetrics:
        assert self.last is not None  # a stream ends with a token, or an error
        usage, first_at = self.last.usage, self.timing.first_at
        pace = None if usage is None else self.timing.pace(usage.completion_tokens)
        return PredictionMetrics(
            provider=self.last.provider,
            model=self.query.model,
            is_local=False,
            fallback_reason=self.query.reason,
            ttft_ms=None if first_at is None else 1000 * (first_at - self.began_at),
            latency_ms=self.elapsed_ms,
            load_ms=0.0,
            prompt_tokens=None if usage is None else usage.prompt_tokens,
            completion_tokens=None if usage is None else usage.completion_tokens,
            tokens_per_s=None if pace is None else pace.per_second,
            finish_reason=self.last.finish_reason,
            cost_usd=None,
        )
