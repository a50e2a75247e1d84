"""What a model says to `predict`, and what it took."""

from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True, slots=True, kw_only=True)
class PredictionMetrics:
    """How an answer was made.

    Attributes:
        provider: what made it: an engine of this machine, such as `llama_cpp`, or a backend of the
            control plane.
        model: the model, by the name it was asked for.
        version: as the registry numbers it; None for a model that is not from there.
        digest: SHA-256 of what was run, `sha256:` and 64 hexadecimal digits: of the manifest for a
            version of the registry, else of the weights; None where unknown.
        is_local: whether it was made on this machine.
        fallback_reason: why the control plane answered instead of this machine; None if it did not.
        ttft_ms: milliseconds from the request, to a loaded model, to the first text; None where
            there was none.
        latency_ms: milliseconds from the request, to a loaded model, to the end.
        load_ms: milliseconds before that, to find, fetch and load the model; next to none if it
            was loaded.
        prompt_tokens: read; None where nobody tells.
        completion_tokens: written; None where nobody tells.
        tokens_per_s: of those after the first; None where there are too few to tell.
        finish_reason: `stop`, or `length` where `max_tokens` or the context cut the answer.
        cost_usd: 0 on this machine; None where unknown.
    """

    provider: str | None
    model: str
    version: str | None = None
    digest: str | None = None
    is_local: bool
    fallback_reason: str | None = None
    ttft_ms: float | None
    latency_ms: float
    load_ms: float
    prompt_tokens: int | None
    completion_tokens: int | None
    tokens_per_s: float | None
    finish_reason: str | None
    cost_usd: float | None


class Prediction(str):
    """A model's answer: a text, and how it was made.

    Attributes:
        metrics: how it was made.
    """

    __slots__ = ("metrics",)
    metrics: PredictionMetrics

    def __new__(cls, text: str, metrics: PredictionMetrics) -> Self:
        """Return a text with its metrics."""
        said = super().__new__(cls, text)
        said.metrics = metrics
        return said

    def __getnewargs__(self) -> tuple[str, PredictionMetrics]:  # type: ignore[override]
        """Say what a copy is made from."""
        return str(self), self.metrics


class PredictionChunk(str):
    """A piece of an answer.

    Attributes:
        latency_ms: milliseconds from the request, to a loaded model, to this piece.
        metrics: how the whole answer was made, in the last piece, whose text is empty; else None.
    """

    __slots__ = ("latency_ms", "metrics")
    latency_ms: float
    metrics: PredictionMetrics | None

    def __new__(
        cls, text: str, latency_ms: float, metrics: PredictionMetrics | None = None
    ) -> Self:
        """Return a piece with its time."""
        said = super().__new__(cls, text)
        said.latency_ms, said.metrics = latency_ms, metrics
        return said

    def __getnewargs__(  # type: ignore[override]
        self,
    ) -> tuple[str, float, PredictionMetrics | None]:
        """Say what a copy is made from."""
        return str(self), self.latency_ms, self.metrics
