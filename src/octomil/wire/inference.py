"""Asking models by way of the control plane: conversations, batches, embeddings, and backends."""

from dataclasses import dataclass
from typing import Annotated, Final, Literal

from annotated_types import Ge, Gt, Le, MaxLen, MinLen

from octomil.wire.known_fields import KnownFields
from octomil.wire.numbers import EXACT, Flag
from octomil.wire.texts import Identifier

MAX_MESSAGES: Final = 1024
MAX_BATCH: Final = 256
"""So many inputs a batch may have."""
MAX_CONCURRENCY: Final = 32
"""So many of them may be worked on at once."""
MAX_TEXTS: Final = 2048
"""So many texts may be embedded by one request."""

RoleName = Literal["system", "user", "assistant", "tool"]
HealthName = Literal["ok", "degraded", "down"]
BackendStatusName = Literal["up", "down", "unknown", "absent"]

_Penalty = Annotated[float, Ge(-2), Le(2), EXACT]
_Share = Annotated[float, Ge(0), Le(1), EXACT]
_Count = Annotated[int, Ge(1), Le(2**31 - 1), EXACT]


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One turn of a conversation: a text, said in a role."""

    role: RoleName
    content: str


@dataclass(frozen=True, slots=True, kw_only=True)
class InferenceParameters(KnownFields):
    """How an answer is made; what is left out is the backend's to decide.

    Attributes:
        temperature: 0 takes the likeliest token each time.
        max_tokens: of the answer.
        top_p: tokens are drawn from the likeliest that have this share together.
        top_k: tokens are drawn from so many; 0 from all.
        min_p: tokens that are less likely than this share of the likeliest are left out.
        stop: texts that end the answer, and are no part of it.
        seed: the same draws again, as far as the backend can.
        frequency_penalty: above 0, against words by how often they were said.
        presence_penalty: above 0, against words that were said.
    """

    temperature: Annotated[float, Ge(0), Le(2), EXACT] | None = None
    max_tokens: _Count | None = None
    top_p: Annotated[float, Gt(0), Le(1), EXACT] | None = None
    top_k: Annotated[int, Ge(0), Le(2**31 - 1), EXACT] | None = None
    min_p: _Share | None = None
    stop: str | Annotated[list[str], MaxLen(4)] | None = None
    seed: Annotated[int, Ge(-(2**63)), Le(2**63 - 1), EXACT] | None = None
    frequency_penalty: _Penalty | None = None
    presence_penalty: _Penalty | None = None


_Messages = Annotated[list[Message], MinLen(1), MaxLen(MAX_MESSAGES)]


@dataclass(frozen=True, slots=True, kw_only=True)
class InferenceInput:
    """What a model is to answer: exactly one of the first two.

    Attributes:
        messages: a conversation.
        input_data: the same, or one text that a user says.
        parameters: how the answer is made.
    """

    messages: _Messages | None = None
    input_data: str | _Messages | None = None
    parameters: InferenceParameters | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class InferenceRequest(InferenceInput):
    """`POST /inference` and `POST /inference/stream`.

    Attributes:
        model_id: as a backend calls the model.
    """

    model_id: Identifier


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenUsage:
    """Tokens of a conversation and its answer, as the backend counted them."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


@dataclass(frozen=True, slots=True, kw_only=True)
class InferenceAnswer:
    """What a model answered.

    Attributes:
        latency_ms: from the request's arrival to the end of the answer, in milliseconds.
        provider: the backend that answered.
        finish_reason: `stop`, or `length` where `max_tokens` or the context cut it.
        session_id: of this one answer, for the caller's own records.
    """

    output: str
    latency_ms: float
    provider: str
    model_id: str
    usage: TokenUsage
    finish_reason: str
    session_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenEvent:
    """One event of `POST /inference/stream`.

    Attributes:
        token: a piece of the answer; empty in the last event.
        done: whether this is the last event. A stream that ends without one was cut short.
        latency_ms: from the request's arrival, in milliseconds.
        usage: in the last event alone.
        finish_reason: in the last event alone.
    """

    token: str
    done: bool
    provider: str
    latency_ms: float
    session_id: str
    usage: TokenUsage | None = None
    finish_reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchRequest:
    """`POST /inference/batch`.

    Attributes:
        inputs: each is answered by itself.
        parameters: for the inputs that have none of their own.
        max_concurrency: so many inputs are worked on at once.
    """

    model_id: Identifier
    inputs: Annotated[list[InferenceInput], MinLen(1), MaxLen(MAX_BATCH)]
    parameters: InferenceParameters | None = None
    max_concurrency: Annotated[int, Ge(1), Le(MAX_CONCURRENCY), EXACT] = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchProblem:
    """Why an input was not answered, as the body of an error says it."""

    error: str
    message: str
    status_code: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchResult:
    """What became of an input: an output or an error, the other one null.

    Attributes:
        index: of the input.
        latency_ms: from when it was begun, in milliseconds.
        provider: null beside an error, as are `usage` and `finish_reason`.
    """

    index: int
    output: str | None
    error: BatchProblem | None
    latency_ms: float
    provider: str | None
    usage: TokenUsage | None
    finish_reason: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchAnswer:
    """What became of a batch.

    Attributes:
        results: in the order of the inputs.
        latency_ms: of all together, in milliseconds.
    """

    model_id: str
    results: list[BatchResult]
    succeeded: int
    failed: int
    latency_ms: float


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbeddingsRequest:
    """`POST /embeddings`.

    Attributes:
        input: a text, or several.
    """

    model_id: Identifier
    input: str | Annotated[list[str], MinLen(1), MaxLen(MAX_TEXTS)]


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbeddingRow:
    """The vector of one text."""

    object: Literal["embedding"] = "embedding"
    index: int
    embedding: list[float]


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbeddingsUsage:
    """Tokens of the texts, as the backend counted them."""

    prompt_tokens: int
    total_tokens: int


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbeddingsAnswer:
    """Vectors, in the order of the texts."""

    data: list[EmbeddingRow]
    model: str
    provider: str
    usage: EmbeddingsUsage


@dataclass(frozen=True, slots=True, kw_only=True)
class BackendHealth:
    """How a backend fares.

    Attributes:
        status: `unknown` where it did not tell in time, `absent` where nobody is and nobody said
            that anybody would be.
        latency_ms: of asking it for its models; null unless it is up.
        models: what it serves; empty unless it is up.
        detail: why it is not up; null if it is.
        is_asked: whether requests go to it now. One that failed is left alone for a while.
    """

    name: str
    status: BackendStatusName
    latency_ms: float | None
    models: list[str]
    detail: str | None
    is_asked: Flag


@dataclass(frozen=True, slots=True, kw_only=True)
class InferenceHealth:
    """`GET /inference/health`.

    Attributes:
        status: `ok` if all backends are up that are not absent, `down` if none is.
        backends: in the order in which they are tried.
    """

    status: HealthName
    backends: list[BackendHealth]
