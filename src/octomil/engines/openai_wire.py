"""The code path shared by every engine that is a server speaking OpenAI's wire form."""

from collections.abc import AsyncGenerator, Sequence
from typing import Any

import msgspec

from octomil.engines.base import (
    Capabilities,
    Completion,
    Deathless,
    Embeddings,
    EventStream,
    GenerationRequest,
    Progress,
    Usage,
)
from octomil.engines.relay import EventRelay, error_from, read_answer
from octomil.engines.upstream import Reply, Upstream
from octomil.errors import EngineUnavailableError, GenerationError


class _Vector(msgspec.Struct):
    index: int
    embedding: list[float]


class _VectorUsage(msgspec.Struct):
    prompt_tokens: int | None = None


class _Vectors(msgspec.Struct):
    data: list[_Vector]
    usage: _VectorUsage | None = None


_decode_vectors = msgspec.json.Decoder(_Vectors).decode
_encode = msgspec.json.Encoder().encode


def read_embeddings(body: bytes, model: str, number: int) -> Embeddings:
    """Read the answer of `/embeddings`.

    Args:
        body: the answer.
        model: named in errors.
        number: of the texts that were sent.

    Raises:
        GenerationError: it does not have one vector for each text.
    """
    try:
        answer = _decode_vectors(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise GenerationError(f"model {model!r} sent no embeddings: {error}") from error
    rows = sorted(answer.data, key=lambda row: row.index)
    if [row.index for row in rows] != list(range(number)):
        raise GenerationError(f"model {model!r} sent {len(rows)} embeddings for {number} texts")
    tokens = answer.usage.prompt_tokens if answer.usage else None
    return Embeddings([row.embedding for row in rows], tokens or 0)


class OpenAIWireEngine(Deathless):
    """An engine behind an OpenAI-compatible server.

    Subclasses say how to reach it (`load`) and what it needs in a request (`prepare`).

    Args:
        model: the name the *server* knows the model by.
        capabilities: what it can do, as far as is known before `load`.
    """

    prefix = ""
    """What comes before `/chat/completions` and the other paths."""

    usage_per_choice = False
    """Whether the server reports the usage of each choice on its own."""

    def __init__(self, model: str, *, capabilities: Capabilities) -> None:
        self.model = model
        self._capabilities = capabilities
        self._upstream: Upstream | None = None

    @property
    def capabilities(self) -> Capabilities:
        """What the engine can do; final once it is loaded."""
        return self._capabilities

    @property
    def upstream(self) -> Upstream:
        """The open connection.

        Raises:
            EngineUnavailableError: the engine is not loaded, or closed.
        """
        if self._upstream is None:
            raise EngineUnavailableError(f"model {self.model!r} is not loaded")
        return self._upstream

    async def load(self, progress: Progress) -> None:
        """Make the model ready."""
        raise NotImplementedError

    def prepare(self, request: GenerationRequest) -> dict[str, Any]:
        """Return the body for the server, as a new dict."""
        return {**request.body, "model": self.model}

    async def generate(self, request: GenerationRequest) -> Completion:
        """Answer in one piece."""
        body = self.prepare(request)
        body.pop("stream_options", None)
        body["stream"] = False
        reply = await self.upstream.request(
            "POST", f"{self.prefix}/{request.endpoint}", _encode(body)
        )
        if reply.status != 200:
            raise error_from(reply.status, reply.body, self.model, reply.retry_after_s)
        return Completion(reply.body, read_answer(reply.body, self.model))

    def stream(self, request: GenerationRequest) -> EventStream:
        """Answer piece by piece."""
        usage = Usage()
        return EventStream(self._events(request, usage), usage)

    async def _events(
        self, request: GenerationRequest, usage: Usage
    ) -> AsyncGenerator[bytes, None]:
        body = self.prepare(request)
        body["stream"] = True
        body["stream_options"] = {"include_usage": True}
        relay = EventRelay(
            self.model,
            usage,
            wants_usage=request.wants_usage,
            choices_per_prompt=(body.get("n") or 1) if self.usage_per_choice else None,
        )
        chunks = self.upstream.stream(f"{self.prefix}/{request.endpoint}", _encode(body))
        try:
            async for chunk in chunks:
                if isinstance(chunk, Reply):
                    raise error_from(chunk.status, chunk.body, self.model, chunk.retry_after_s)
                block = relay.feed(chunk)
                if block:
                    yield block
        finally:
            await chunks.aclose()
        last = relay.finish()
        if last:
            yield last

    async def embed(self, texts: Sequence[str]) -> Embeddings:
        """Turn texts into vectors."""
        body = _encode({"model": self.model, "input": list(texts), "encoding_format": "float"})
        reply = await self.upstream.request("POST", f"{self.prefix}/embeddings", body)
        if reply.status != 200:
            raise error_from(reply.status, reply.body, self.model, reply.retry_after_s)
        return read_embeddings(reply.body, self.model, len(texts))

    async def tokens(self, text: str) -> int:
        """Count the tokens of `text`, as well as can be without the model's tokenizer."""
        return max(1, len(text.encode()) // 4)

    async def busy(self) -> int:
        """Tell how many requests the engine works on; a remote one does not say."""
        return 0

    async def close(self) -> None:
        """Close the connections."""
        upstream, self._upstream = self._upstream, None
        if upstream is not None:
            await upstream.close()
