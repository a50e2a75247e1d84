"""What answers for a model: a server beside the control plane, or somebody else's."""

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from octomil.engines.base import Embeddings
from octomil.wire.inference import InferenceParameters, Message


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerationQuery:
    """A conversation to go on with.

    Attributes:
        model: as the caller called it.
        messages: at least one.
    """

    model: str
    messages: Sequence[Message]
    parameters: InferenceParameters = field(default_factory=InferenceParameters)


class Ending(NamedTuple):
    """How an answer ended, and its tokens as the backend counted them."""

    finish_reason: str
    prompt_tokens: int
    completion_tokens: int


class Piece(NamedTuple):
    """Some of an answer's text; the last piece has its ending."""

    text: str
    ending: Ending | None = None


class InferenceBackend(Protocol):
    """Answers for the models it has.

    What its methods raise says what becomes of the request:

    - `UnknownModelError`: it has no such model. The next one is asked; it counts for nothing.
    - any other `ModelError`: it cannot have that model now. The next one is asked; likewise.
    - `InvalidRequestError`: the request is wrong. No other one is asked.
    - `EngineUnreachableError`: nobody answers there; nobody is asked there for a while.
    - any other `EngineError`: it failed, or has no room. The next one is asked, and after a few
      of these in a row, nobody here for a while.
    """

    @property
    def name(self) -> str:
        """What callers know it by, as an answer's provider."""
        ...

    def stream(self, query: GenerationQuery) -> AsyncGenerator[Piece, None]:
        """Answer piece by piece; closing the generator stops the generation at the backend.

        The last piece has an ending, and no other has: a stream that ends without is an error.
        """
        ...

    async def embed(self, model: str, texts: Sequence[str]) -> Embeddings:
        """Turn texts into vectors; cancelling the call stops it."""
        ...

    async def models(self) -> Sequence[str]:
        """Return the names of the models that it serves now."""
        ...

    async def close(self) -> None:
        """Give everything back; closing twice is harmless."""
        ...
