"""`Client.load_model`: a model that is loaded, for as many questions as one likes."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Unpack

from octomil.engines.base import Capabilities
from octomil.inference.embeddings import EmbeddingResult, EmbeddingUsage
from octomil.sdk.local_engines import LocalEngines, Run
from octomil.sdk.local_models import Resident
from octomil.sdk.parameters import Asked, Parameters, Query, given
from octomil.sdk.predictions import Prediction, PredictionChunk, PredictionMetrics

_ELSEWHERE = ("ollama", "openai")
"""Engines that another server's models are asked by."""


class LoadedModel:
    """A model that runs on this machine, until its client is disposed of.

    May be used by several threads. While others need its memory and nobody asks it, it may be
    unloaded; it comes back when it is asked.

    Attributes:
        name: as it was asked for.
        engine: what runs it, such as `llama_cpp`.
        version: its number, if it is from the registry.
        digest: of what runs; see :class:`octomil.sdk.predictions.PredictionMetrics`.
        load_ms: milliseconds that it took to find, fetch and load.
    """

    def __init__(
        self, name: str, resident: Resident, engines: LocalEngines, load_ms: float
    ) -> None:
        self.name = name
        self.engine = resident.engine
        self.version = resident.version
        self.digest = resident.digest
        self.load_ms = load_ms
        self._key = resident.key
        self._engines = engines

    def __repr__(self) -> str:
        version = f" {self.version}" if self.version else ""
        return f"<LoadedModel {self.name!r}{version} in {self.engine}>"

    @property
    def capabilities(self) -> Capabilities:
        """What it can do."""
        return self._engines.capabilities(self._key)

    def predict(
        self,
        messages: Asked,
        *,
        max_tokens: int | None = None,
        temperature: float | None = None,
        top_p: float | None = None,
        **more: Unpack[Parameters],
    ) -> Prediction:
        """Answer in one piece.

        Args:
            messages: a conversation, as objects with `role` and `content`; or what a user says.
            max_tokens: of the answer; None for as many as the context holds.
            temperature: 0 takes the likeliest token each time; None is the model's to decide.
            top_p: tokens are drawn from the likeliest that have this share together.
            **more: `top_k`, `min_p`, `stop`, `seed`, `frequency_penalty`, `presence_penalty`.

        Raises:
            InvalidRequestError: a parameter makes no sense, or the model does not write.
            EngineUnavailableError: the client was disposed of, before or meanwhile.
            EngineError: the engine failed.
        """
        chosen = given(max_tokens=max_tokens, temperature=temperature, top_p=top_p, **more)
        return self.answer(Query.read(messages, chosen))

    def predict_stream(
        self,
        messages: Asked,
        *,
        max_tokens: int | None = None,
        temperature: float | None = None,
        top_p: float | None = None,
        **more: Unpack[Parameters],
    ) -> AsyncGenerator[PredictionChunk, None]:
        """Answer piece by piece: `async for`; otherwise as `predict`.

        Leaving the loop and cancelling its task stop the generation.
        """
        chosen = given(max_tokens=max_tokens, temperature=temperature, top_p=top_p, **more)
        return self.pieces(Query.read(messages, chosen))

    def embed(self, texts: str | Sequence[str]) -> EmbeddingResult:
        """Return embeddings of a text, or of several, in their order.

        Raises:
            InvalidRequestError: the model makes none, or a text is too long.
            EngineError: as in `predict`.
        """
        made = self._engines.embed(self._key, [texts] if isinstance(texts, str) else list(texts))
        usage = EmbeddingUsage(made.prompt_tokens, made.prompt_tokens)
        return EmbeddingResult([list(vector) for vector in made.vectors], self.name, usage)

    def answer(self, query: Query, load_ms: float = 0.0) -> Prediction:
        """Answer a query that has been checked.

        Args:
            query: what is asked.
            load_ms: what the caller waited for the model before.
        """
        said, run = self._engines.write(self._key, query)
        return Prediction(said, self._metrics(run, load_ms))

    async def pieces(
        self, query: Query, load_ms: float = 0.0
    ) -> AsyncGenerator[PredictionChunk, None]:
        """Answer a query that has been checked, piece by piece; otherwise as `answer`."""
        run = Run()
        async with aclosing(self._engines.stream(self._key, query, run)) as pieces:
            async for piece in pieces:
                yield PredictionChunk(piece.text, piece.at_ms)
        metrics = self._metrics(run, load_ms)
        yield PredictionChunk("", metrics.latency_ms, metrics)

    def _metrics(self, run: Run, load_ms: float) -> PredictionMetrics:
        tokens, first_at = run.usage.completion_tokens, run.timing.first_at
        pace = run.timing.pace(tokens)
        is_local = self.engine not in _ELSEWHERE
        return PredictionMetrics(
            provider=self.engine,
            model=self.name,
            version=self.version,
            digest=self.digest,
            is_local=is_local,
            ttft_ms=None if first_at is None else 1000 * (first_at - run.began_at),
            latency_ms=1000 * (run.ended_at - run.began_at),
            load_ms=load_ms + 1000 * (run.began_at - run.asked_at),
            prompt_tokens=run.usage.prompt_tokens,
            completion_tokens=tokens,
            tokens_per_s=None if pace is None else pace.per_second,
            finish_reason=run.usage.finish_reason,
            cost_usd=0.0 if is_local else None,
        )
