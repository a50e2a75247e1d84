"""OpenAI's request shapes, as far as the serving node looks into them.

Fields not listed here pass to the engine untouched, which knows what to do with them or refuses.
"""

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from annotated_types import Ge, Interval, MaxLen, MinLen

Role = Literal["system", "developer", "user", "assistant", "tool", "function"]
Unit = Annotated[float, Interval(ge=0, le=1)]
Penalty = Annotated[float, Interval(ge=-2, le=2)]
Count = Annotated[int, Ge(1)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One turn of a conversation."""

    role: Role
    content: str | list[dict[str, Any]] | None = None
    name: str | None = None
    tool_calls: list[dict[str, Any]] | None = None
    tool_call_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamOptions:
    """How a stream ends."""

    include_usage: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ResponseFormat:
    """What form the answer must have."""

    type: Literal["text", "json_object", "json_schema"]
    json_schema: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    """A function the model may call."""

    type: Literal["function"]
    function: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampling:
    """What chat and text completions have in common.

    Attributes:
        model: a served model, or `auto`.
        seed: any 64-bit integer; the same seed gives the same text on the same engine.
        stop: up to 16 texts that end the answer.
    """

    model: str = "auto"
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    temperature: Annotated[float, Interval(ge=0, le=2)] | None = None
    top_p: Unit | None = None
    max_tokens: Count | None = None
    stop: Annotated[list[str], MaxLen(16)] | str | None = None
    seed: int | None = None
    n: Annotated[int, Interval(ge=1, le=16)] | None = None
    presence_penalty: Penalty | None = None
    frequency_penalty: Penalty | None = None
    logit_bias: dict[str, float] | None = None
    user: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatRequest(Sampling):
    """`POST /v1/chat/completions`."""

    messages: Annotated[list[Message], MinLen(1)]
    max_completion_tokens: Count | None = None
    logprobs: bool | None = None
    top_logprobs: Annotated[int, Interval(ge=0, le=20)] | None = None
    response_format: ResponseFormat | None = None
    tools: list[Tool] | None = None
    tool_choice: Literal["none", "auto", "required"] | dict[str, Any] | None = None
    parallel_tool_calls: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CompletionRequest(Sampling):
    """`POST /v1/completions`."""

    prompt: Annotated[list[str], MinLen(1), MaxLen(64)] | str
    logprobs: Annotated[int, Interval(ge=0, le=20)] | None = None
    echo: bool | None = None
    suffix: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbeddingRequest:
    """`POST /v1/embeddings`."""

    input: Annotated[list[str], MinLen(1), MaxLen(2048)] | str
    model: str = "all-minilm-l6-v2"
    encoding_format: Literal["float", "base64"] | None = None
    dimensions: Count | None = None
    user: str | None = None
