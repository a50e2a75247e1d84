"""The port every engine implements, and the values that cross it.

Requests and answers cross the port in OpenAI's wire form: most engines are servers that speak it
already, so that relaying a token costs no parsing.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, Protocol

Endpoint = Literal["chat/completions", "completions"]

Progress = Callable[[str], None]
"""Called with one line for people while an engine loads."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """What an engine can do with its model.

    Attributes:
        chat: answers conversations.
        completions: continues raw text.
        embeddings: turns texts into vectors.
        tools: its template has a place for tools.
        logprobs: reports token log-probabilities.
        structured_output: constrains its answer to JSON or a JSON schema.
        media: reads parts of a message that are not text: images, sound, files.
        gathers: makes a whole answer by gathering its own stream; whoever gathers it himself knows
            at any time how far it is.
        context_tokens: tokens of prompt and answer together; None where unknown.
        max_concurrency: requests it works on at once.
    """

    chat: bool = True
    completions: bool = True
    embeddings: bool = False
    tools: bool = True
    logprobs: bool = True
    structured_output: bool = True
    media: bool = False
    gathers: bool = False
    context_tokens: int | None = None
    max_concurrency: int = 1


@dataclass(frozen=True, slots=True)
class GenerationRequest:
    """One request for text.

    Attributes:
        endpoint: which of OpenAI's two shapes `body` has.
        body: the validated request; its `model` and `stream` are the engine's to set.
    """

    endpoint: Endpoint
    body: dict[str, Any]

    @property
    def wants_usage(self) -> bool:
        """Whether the client asked for a usage chunk at the end of the stream."""
        options = self.body.get("stream_options")
        return isinstance(options, dict) and bool(options.get("include_usage"))


@dataclass(slots=True)
class Usage:
    """Tokens of one answer; the engine fills it in by the end of the answer."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0
    finish_reason: str | None = None

    def become(self, other: "Usage") -> None:
        """Take over what another answer used, which stands in for this one."""
        self.prompt_tokens = other.prompt_tokens
        self.completion_tokens = other.completion_tokens
        self.cached_tokens = other.cached_tokens
        self.finish_reason = other.finish_reason


class Pace(NamedTuple):
    """How many tokens an engine wrote in how many seconds."""

    tokens: int
    seconds: float

    @property
    def per_second(self) -> float | None:
        """Tokens per second; None where all came within one tick of the clock."""
        return self.tokens / self.seconds if self.seconds > 0 else None


@dataclass(slots=True)
class Timing:
    """When the tokens of one answer came, in seconds on the clock of `time.perf_counter`.

    Attributes:
        first_at: when the first ones came; None before, and where all came in one piece.
        first_tokens: how many came with the first: more than one where they were held back.
        last_at: when the newest ones came.
    """

    first_at: float | None = None
    first_tokens: int = 1
    last_at: float | None = None

    def begin(self, now: float, *, tokens: int) -> None:
        """Note that the first tokens have come, `tokens` of them as far as is known."""
        self.first_at = self.last_at = now
        self.first_tokens = max(1, tokens)

    def pace(self, tokens: int) -> Pace | None:
        """Tell how fast the tokens after the first came; None where there were none.

        Args:
            tokens: of the whole answer so far.
        """
        later = tokens - self.first_tokens
        if self.first_at is None or self.last_at is None or later < 1:
            return None
        return Pace(later, self.last_at - self.first_at)


@dataclass(frozen=True, slots=True)
class Completion:
    """A whole answer: the JSON body as it goes to the client, and what it used."""

    body: bytes
    usage: Usage


@dataclass(frozen=True, slots=True)
class EventStream:
    """An answer as it is made.

    Attributes:
        events: blocks of one or more whole server-sent events, without the final `[DONE]`.
            Closing the generator stops the generation.
        usage: complete once `events` is exhausted.
    """

    events: AsyncGenerator[bytes, None]
    usage: Usage = field(default_factory=Usage)


@dataclass(frozen=True, slots=True)
class Embeddings:
    """Vectors for a list of texts, in its order; `prompt_tokens` counts all of them."""

    vectors: Sequence[Sequence[float]]
    prompt_tokens: int


class Engine(Protocol):
    """Runs one model.

    Every method but `load` needs a loaded engine and raises `EngineUnavailableError` without one.
    Requests run concurrently up to `capabilities.max_concurrency`; the caller keeps to it.
    """

    @property
    def capabilities(self) -> Capabilities:
        """What the engine can do; final once it is loaded."""
        ...

    async def load(self, progress: Progress) -> None:
        """Make the model ready; never blocks the event loop.

        Raises:
            EngineError: the model cannot be loaded; the message says why.
        """
        ...

    async def generate(self, request: GenerationRequest) -> Completion:
        """Answer in one piece; cancelling the call stops the generation.

        Raises:
            InvalidRequestError: the request cannot be answered as it is.
            EngineCrashedError: the engine died meanwhile.
            GenerationError: the engine failed.
        """
        ...

    def stream(self, request: GenerationRequest) -> EventStream:
        """Answer piece by piece. Errors as in `generate`, raised while iterating."""
        ...

    async def embed(self, texts: Sequence[str]) -> Embeddings:
        """Turn texts into vectors of unit length."""
        ...

    async def tokens(self, text: str) -> int:
        """Count the tokens of `text`."""
        ...

    async def busy(self) -> int:
        """Tell how many requests the engine itself works on now."""
        ...

    async def failure(self) -> str:
        """Return, with the reason, once the loaded engine has died; else never."""
        ...

    async def close(self) -> None:
        """Free everything; closing twice is harmless."""
        ...


class Deathless:
    """The part of an engine without a process of its own, which therefore cannot die by itself."""

    async def failure(self) -> str:
        """Never return: a fault shows in an answer, if at all."""
        never: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        return await never
