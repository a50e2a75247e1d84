"""Ollama, by its own API: one JSON object a line."""

from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import aclosing
from typing import Any, Final

import msgspec

from octomil.control.backends.replies import fetched, given, refusal, streamed
from octomil.control.ports import Ending, GenerationQuery, Piece
from octomil.engines.base import Embeddings
from octomil.engines.relay import error_from
from octomil.engines.upstream import Reply, Upstream
from octomil.errors import GenerationError, ModelUnsuitedError, UnknownModelError

MAX_LINE_BYTES = 16 * 2**20

_NO_NAME: Final = frozenset({"model is required", "invalid model name"})
"""How it refuses names that its own models cannot have; those of other servers' can."""

_NO_CHAT: Final = "does not support chat"

_NONSENSE = (msgspec.DecodeError, UnicodeDecodeError)


class _Message(msgspec.Struct):
    content: str | None = None


class _Line(msgspec.Struct):
    message: _Message | None = None
    done: bool = False
    done_reason: str | None = None
    prompt_eval_count: int | None = None
    eval_count: int | None = None
    error: Any = None


class _Embedded(msgspec.Struct):
    embeddings: list[list[float]]
    prompt_eval_count: int | None = None


class _Tag(msgspec.Struct):
    name: str


class _Tags(msgspec.Struct):
    models: list[_Tag]


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(_Line).decode
_decode_embedded = msgspec.json.Decoder(_Embedded).decode
_decode_tags = msgspec.json.Decoder(_Tags).decode


class OllamaBackend:
    """An `InferenceBackend` over Ollama's own API, version 0.5 and later.

    Args:
        upstream: where its paths begin, such as `http://localhost:11434`.
    """

    name = "ollama"

    def __init__(self, upstream: Upstream) -> None:
        self._upstream = upstream

    async def stream(self, query: GenerationQuery) -> AsyncGenerator[Piece, None]:
        """Answer piece by piece."""
        body = {
            "model": query.model,
            "messages": query.messages,
            "stream": True,
            "options": _options(query),
        }
        lines = _Lines(query.model)
        chunks = streamed(self._upstream, "/api/chat", query.model, _encode(body), refused=_refusal)
        async with aclosing(chunks):
            async for chunk in chunks:
                for piece in lines.feed(chunk):
                    yield piece
        lines.require_end()

    async def embed(self, model: str, texts: Sequence[str]) -> Embeddings:
        """Turn texts into vectors."""
        body = _encode({"model": model, "input": texts})
        answer = await fetched(self._upstream, "POST", "/api/embed", model, body, refused=_refusal)
        try:
            found = _decode_embedded(answer)
        except _NONSENSE as error:
            raise GenerationError(f"model {model!r} sent no embeddings: {error}") from error
        if len(found.embeddings) != len(texts):
            raise GenerationError(
                f"model {model!r} sent {len(found.embeddings)} embeddings for {len(texts)} texts"
            )
        return Embeddings(found.embeddings, found.prompt_eval_count or 0)

    async def models(self) -> Sequence[str]:
        """Return the names of the models that it has pulled."""
        answer = await fetched(self._upstream, "GET", "/api/tags", "")
        try:
            return [each.name for each in _decode_tags(answer).models]
        except _NONSENSE as error:
            raise GenerationError(f"it lists no models: {error}") from error

    async def close(self) -> None:
        """Close the connections."""
        await self._upstream.close()


def _refusal(reply: Reply, model: str) -> Exception:
    """Return the error that says what a refusal of Ollama's says; it has no codes, but texts."""
    error = refusal(reply, model)
    text = str(error)
    if reply.status == 400 and text in _NO_NAME:
        return UnknownModelError(f"it takes no name such as {model!r}: {text}")
    if reply.status == 501 or (reply.status == 400 and text.endswith(_NO_CHAT)):
        return ModelUnsuitedError(text)
    return error


def _options(query: GenerationQuery) -> dict[str, Any]:
    """Return the parameters as Ollama names them."""
    options = given(query.parameters)
    if "max_tokens" in options:
        options["num_predict"] = options.pop("max_tokens")
    if isinstance(stop := options.get("stop"), str):
        options["stop"] = [stop]
    return options


class _Lines:
    """An answer while its lines arrive: pure, fed with whatever bytes come."""

    def __init__(self, model: str) -> None:
        self._model = model
        self._rest = b""
        self._is_done = False

    def feed(self, chunk: bytes) -> Iterator[Piece]:
        """Yield the pieces that `chunk` completes.

        Raises:
            EngineError: Ollama reports an error inside of the stream, or talks nonsense.
        """
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        if len(self._rest) > MAX_LINE_BYTES:
            raise GenerationError(f"the server sent a line of more than {MAX_LINE_BYTES:,} bytes")
        for line in lines:
            if line.strip() and (piece := self._take(line)) is not None:
                yield piece

    def require_end(self) -> None:
        """Return if the answer has come to its end.

        Raises:
            GenerationError: the stream broke off before.
        """
        if not self._is_done:
            raise GenerationError(f"the stream of model {self._model!r} broke off before its end")

    def _take(self, text: bytes) -> Piece | None:
        try:
            line = _decode(text)
        except _NONSENSE as error:
            message = f"model {self._model!r} answered what makes no sense: {error}"
            raise GenerationError(message) from error
        if line.error:
            raise error_from(500, text, self._model)
        said = (line.message.content if line.message else None) or ""
        if not line.done:
            return Piece(said) if said else None
        self._is_done = True
        reason = "length" if line.done_reason == "length" else "stop"
        return Piece(said, Ending(reason, line.prompt_eval_count or 0, line.eval_count or 0))
