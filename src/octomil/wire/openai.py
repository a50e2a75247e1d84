"""OpenAI's request shapes, as far as the serving node looks into them.

Fields not listed here pass to the engine untouched, which knows what to do with them or refuses.
"""

import json
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from annotated_types import Interval, MaxLen, MinLen

from octomil.wire.schemas import MAX_SCHEMA_SIZE, are_too_large

Role = Literal["system", "developer", "user", "assistant", "tool", "function"]
Unit = Annotated[float, Interval(ge=0, le=1)]
Penalty = Annotated[float, Interval(ge=-2, le=2)]
Count = Annotated[int, Interval(ge=1, le=2**31 - 1)]
Seed = Annotated[int, Interval(ge=-(2**63), le=2**63 - 1)]

_TOO_LARGE = (
    f"schemas of more than {MAX_SCHEMA_SIZE:,} values together; long texts, and many optional "
    "properties of one object, count as several"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ContentPart:
    """A piece of a message: text, or something a model for more than text reads.

    Raises:
        ValueError: a text part has no text.
    """

    type: str
    text: str | None = None

    def __post_init__(self) -> None:
        if self.type == "text" and self.text is None:
            raise ValueError("`text` is missing in a part of type 'text'")


@dataclass(frozen=True, slots=True, kw_only=True)
class CalledFunction:
    """Which function a model called, and with what.

    Attributes:
        arguments: JSON, as text.

    Raises:
        ValueError: it has no name, or its arguments are no JSON.
    """

    name: str
    arguments: str

    def __post_init__(self) -> None:
        if not self.name:
            raise ValueError("`name` is empty in a tool call")
        try:
            json.loads(self.arguments, parse_constant=_refuse_constant)
        except ValueError as error:
            raise ValueError(f"`arguments` are not valid JSON: {error}") from None


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCall:
    """A call that the model made earlier in the conversation."""

    type: Literal["function"]
    function: CalledFunction
    id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One turn of a conversation.

    Raises:
        ValueError: it says nothing, and is no assistant's, which may call tools instead.
    """

    role: Role
    content: str | list[ContentPart] | None = None
    name: str | None = None
    tool_calls: list[ToolCall] | None = None
    tool_call_id: str | None = None

    def __post_init__(self) -> None:
        if self.content is None and self.role != "assistant":
            raise ValueError(f"`content` is missing in a message of role {self.role!r}")


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamOptions:
    """How a stream ends."""

    include_usage: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedSchema:
    """A JSON schema and what to call it."""

    name: str | None = None
    schema: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ResponseFormat:
    """What form the answer must have.

    Raises:
        ValueError: the schema is missing.
    """

    type: Literal["text", "json_object", "json_schema"]
    json_schema: NamedSchema | None = None

    def __post_init__(self) -> None:
        if self.type == "json_schema" and self.json_schema is None:
            raise ValueError("`json_schema` is missing in a response format of that type")


@dataclass(frozen=True, slots=True, kw_only=True)
class Function:
    """A function's name and the JSON schema of its parameters."""

    name: Annotated[str, MinLen(1)]
    parameters: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    """A function the model may call."""

    type: Literal["function"]
    function: Function


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolChoice:
    """The one function the model must call."""

    function: Function
    type: Literal["function"] = "function"


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
    seed: Seed | None = None
    n: Annotated[int, Interval(ge=1, le=16)] | None = None
    presence_penalty: Penalty | None = None
    frequency_penalty: Penalty | None = None
    logit_bias: dict[str, float] | None = None
    user: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatRequest(Sampling):
    """`POST /v1/chat/completions`.

    Raises:
        ValueError: a tool must be called that is not given, or a schema is too large.
    """

    messages: Annotated[list[Message], MinLen(1)]
    max_completion_tokens: Count | None = None
    logprobs: bool | None = None
    top_logprobs: Annotated[int, Interval(ge=0, le=20)] | None = None
    response_format: ResponseFormat | None = None
    tools: list[Tool] | None = None
    tool_choice: Literal["none", "auto", "required"] | ToolChoice | None = None
    parallel_tool_calls: bool | None = None

    def __post_init__(self) -> None:
        if self.tools and are_too_large([tool.function.parameters for tool in self.tools]):
            raise ValueError(f"`tools` have {_TOO_LARGE}")
        wanted = self.response_format and self.response_format.json_schema
        if wanted and are_too_large([wanted.schema]):
            raise ValueError(f"`response_format` has {_TOO_LARGE}")
        self._check_choice()

    def _check_choice(self) -> None:
        names = [tool.function.name for tool in self.tools or ()]
        if self.tool_choice == "required" and not names:
            raise ValueError("`tool_choice` is 'required', but there are no tools")
        if isinstance(self.tool_choice, ToolChoice) and self.tool_choice.function.name not in names:
            wanted = self.tool_choice.function.name
            raise ValueError(f"`tool_choice` wants the function {wanted!r}, which tools lacks")


@dataclass(frozen=True, slots=True, kw_only=True)
class CompletionRequest(Sampling):
    """`POST /v1/completions`."""

    prompt: Annotated[list[str], MinLen(1), MaxLen(64)] | str
    logprobs: Annotated[int, Interval(ge=0, le=20)] | None = None
    echo: bool | None = None
    suffix: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbeddingRequest:
    """`POST /v1/embeddings`; `auto` is the node's embedding model."""

    input: Annotated[list[str], MinLen(1), MaxLen(2048)] | str
    model: str = "auto"
    encoding_format: Literal["float", "base64"] | None = None
    dimensions: Count | None = None
    user: str | None = None
