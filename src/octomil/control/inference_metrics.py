"""What is counted of inference, by the backend that answered."""

from collections.abc import Iterator, Mapping
from typing import Final

from epochly.inference.metrics.instruments import Counter, Histogram, Metric, Reading
from octomil.errors import EngineUnavailableError, ModelError, OctomilError, UnknownModelError

NOBODY: Final = "none"
"""The provider of what no backend answered."""

FIRST_CHUNK_S: Final = (
    *(0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1),
    *(0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0, 30.0, 60.0),
)
"""Bucket edges: those of OpenTelemetry's `gen_ai.server.time_to_first_token`, and cold loads."""


class InferenceMetrics:
    """Requests, fall-overs, tokens, and the time to the first chunk."""

    def __init__(self) -> None:
        self._requests = Counter(
            "octomil:inference_requests_total",
            "Requests for inference, inputs of a batch each by itself.",
            ("operation", "provider", "outcome"),
        )
        self._passed_over = Counter(
            "octomil:inference_fall_overs_total",
            "Times that a backend was passed over for the next one.",
            ("provider", "reason"),
        )
        self._tokens = Counter(
            "octomil:inference_tokens_total",
            "Tokens, as the backends counted them.",
            ("provider", "type"),
        )
        self._first_chunk = Histogram(
            "octomil:inference_time_to_first_chunk_seconds",
            "Time from a request's arrival to the first piece of its answer.",
            ("provider",),
            FIRST_CHUNK_S,
        )

    def ended(self, operation: str, provider: str, outcome: str) -> None:
        """Count a request: `answered`, `failed`, `refused`, `unavailable` or `cancelled`."""
        self._requests.add(1, operation, provider, outcome)

    def passed_over(self, provider: str, error: OctomilError) -> None:
        """Count a backend that could not answer before its first piece."""
        match error:
            case UnknownModelError():
                reason = "unknown_model"
            case ModelError():
                reason = "model_unavailable"
            case EngineUnavailableError():
                reason = "unavailable"
            case _:
                reason = "failed"
        self._passed_over.add(1, provider, reason)

    def first_chunk(self, provider: str, seconds: float) -> None:
        """Note when an answer began."""
        self._first_chunk.observe(seconds, provider)

    def used(self, provider: str, prompt_tokens: int, completion_tokens: int) -> None:
        """Count the tokens of an answer."""
        self._tokens.add(prompt_tokens, provider, "input")
        self._tokens.add(completion_tokens, provider, "output")

    def shown(self, asked: Mapping[str, bool], under_way: int) -> Iterator[Metric]:
        """Yield everything, for `/metrics`.

        Args:
            asked: by backend, whether requests go there now.
            under_way: answers that are being made.
        """
        yield from (self._requests, self._passed_over, self._tokens, self._first_chunk)
        yield Reading(
            "octomil:inference_backend_asked",
            "Whether requests go to a backend now: 1, or 0 for one that failed.",
            ("provider",),
            {(name,): int(is_asked) for name, is_asked in asked.items()}.items,
        )
        yield Reading(
            "octomil:inference_under_way",
            "Answers that are being made.",
            (),
            {(): under_way}.items,
        )
