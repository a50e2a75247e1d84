"""What one model did for one request."""

from dataclasses import dataclass

from epochly.errors import ConfigurationError

OK = "ok"
CANCELLED = "cancelled"
"""Outcomes beside error codes: answered, and left by the client before the end."""

DEFAULT_TENANT = "default"


@dataclass(frozen=True, slots=True, kw_only=True)
class Generation:
    """One answer of one model, whole or as far as it came.

    Attributes:
        model_id: the model's name, digest or `id()`.
        duration_s: from the request's arrival to the last token, or to its end.
        operation: `chat`, `text_completion` or `embeddings`, as OpenTelemetry names them.
        tenant: who pays.
        outcome: `ok`, `cancelled`, or an error's code.
        queue_s: how long the request waited for its turn; None if there was no queue.
        first_token_s: from the request's arrival to the first token; None if none came.
        inter_token_s: mean time between tokens; None for fewer than two.
        prompt_tokens: read by the model, the cached ones included.
        cached_tokens: of the prompt, taken from a cache.
        completion_tokens: generated, whether or not the client saw them all.
        cost_usd: what it cost; None where no price is known.

    Raises:
        ConfigurationError: a time, a count or a cost is negative or no number.
    """

    model_id: int | str
    duration_s: float
    operation: str = "chat"
    tenant: str = DEFAULT_TENANT
    outcome: str = OK
    queue_s: float | None = None
    first_token_s: float | None = None
    inter_token_s: float | None = None
    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0
    cost_usd: float | None = None

    def __post_init__(self) -> None:
        for name in (
            "duration_s", "queue_s", "first_token_s", "inter_token_s",
            "prompt_tokens", "cached_tokens", "completion_tokens", "cost_usd",
        ):  # fmt: skip
            value = getattr(self, name)
            if value is not None and not 0 <= value < float("inf"):
                raise ConfigurationError(f"{name} must be a number of at least 0, got {value}")
