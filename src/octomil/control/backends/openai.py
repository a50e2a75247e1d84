"""A server that speaks OpenAI's wire form: a vendor's, llama.cpp's, or a node of our own."""

from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import aclosing
from typing import Any

import msgspec

from octomil.control.backends.replies import fetched, given, refusal, streamed
from octomil.control.ports import Ending, GenerationQuery, Piece
from octomil.engines.base import Embeddings
from octomil.engines.openai_wire import read_embeddings
from octomil.engines.relay import error_status
from octomil.engines.upstream import Reply, Upstream
from octomil.errors import GenerationError
from octomil.http.sse import SseFramer, event_data


class _Delta(msgspec.Struct):
    content: str | None = None


class _Choice(msgspec.Struct):
    delta: _Delta | None = None
    finish_reason: str | None = None


class _Usage(msgspec.Struct):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None


class _Chunk(msgspec.Struct):
    choices: list[_Choice] | None = None
    usage: _Usage | None = None
    error: Any = None


class _Model(msgspec.Struct):
    id: str


class _Models(msgspec.Struct):
    data: list[_Model]


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(_Chunk).decode
_decode_models = msgspec.json.Decoder(_Models).decode


class OpenAIBackend:
    """An `InferenceBackend` over OpenAI's wire form.

    Args:
        upstream: where its paths begin, such as `https://api.openai.com/v1`.
        name: what callers know it by.
    """

    def __init__(self, upstream: Upstream, *, name: str = "openai") -> None:
        self._upstream = upstream
        self._name = name

    @property
    def name(self) -> str:
        """What callers know it by."""
        return self._name

    async def stream(self, query: GenerationQuery) -> AsyncGenerator[Piece, None]:
        """Answer piece by piece."""
        body = {
            **given(query.parameters),
            "model": query.model,
            "messages": query.messages,
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        answer = _Answer(query.model)
        chunks = streamed(self._upstream, "/chat/completions", query.model, _encode(body))
        async with aclosing(chunks):
            async for chunk in chunks:
                for text in answer.feed(chunk):
                    yield Piece(text)
        yield Piece("", answer.ending())

    async def embed(self, model: str, texts: Sequence[str]) -> Embeddings:
        """Turn texts into vectors."""
        body = _encode({"model": model, "input": texts, "encoding_format": "float"})
        answer = await fetched(self._upstream, "POST", "/embeddings", model, body)
        return read_embeddings(answer, model, len(texts))

    async def models(self) -> Sequence[str]:
        """Return the names of the models that it serves now."""
        answer = await fetched(self._upstream, "GET", "/models", "")
        try:
            return [each.id for each in _decode_models(answer).data]
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise GenerationError(f"it lists no models: {error}") from error

    async def close(self) -> None:
        """Close the connections."""
        await self._upstream.close()


class _Answer:
    """An answer while its chunks arrive: pure, fed with whatever bytes come."""

    def __init__(self, model: str) -> None:
        self._model = model
        self._framer = SseFramer()
        self._is_done = False
        self._finish_reason: str | None = None
        self._usage = _Usage()
        self._pieces = 0

    def feed(self, chunk: bytes) -> Iterator[str]:
        """Yield the texts that `chunk` completes.

        Raises:
            EngineError: the server reports an error inside of the stream, or talks nonsense.
        """
        for data in event_data(self._framer.feed(chunk)):
            if data == b"[DONE]":
                self._is_done = True
            elif text := self._take(data):
                self._pieces += 1
                yield text

    def ending(self) -> Ending:
        """Return how the answer ended; a server that told no usage wrote a token in each piece.

        Raises:
            GenerationError: the stream broke off before.
        """
        if not self._is_done and self._finish_reason is None:
            raise GenerationError(f"the stream of model {self._model!r} broke off before its end")
        told = self._usage.completion_tokens
        return Ending(
            self._finish_reason or "stop",
            self._usage.prompt_tokens or 0,
            self._pieces if told is None else told,
        )

    def _take(self, data: bytes) -> str:
        try:
            chunk = _decode(data)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            message = f"model {self._model!r} answered what makes no sense: {error}"
            raise GenerationError(message) from error
        if chunk.error:
            raise refusal(Reply(error_status(chunk.error), data), self._model)
        if chunk.usage is not None:
            self._usage = chunk.usage
        if not chunk.choices:
            return ""
        choice = chunk.choices[0]
        self._finish_reason = choice.finish_reason or self._finish_reason
        return (choice.delta.content if choice.delta else None) or ""
