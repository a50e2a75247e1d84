"""The text of an engine's stream, piece by piece."""

from collections.abc import AsyncGenerator
from contextlib import aclosing

import msgspec

from octomil.engines.base import EventStream
from octomil.errors import GenerationError
from octomil.http.sse import event_data


class _Delta(msgspec.Struct):
    content: str | None = None


class _Choice(msgspec.Struct):
    delta: _Delta | None = None
    text: str | None = None


class _Chunk(msgspec.Struct):
    choices: list[_Choice] | None = None


_decode = msgspec.json.Decoder(_Chunk).decode


async def texts_of(stream: EventStream) -> AsyncGenerator[str, None]:
    """Yield the text of an answer with one choice, as it comes; no piece is empty.

    Raises:
        GenerationError: a chunk makes no sense.
        EngineError: as the engine's own.
    """
    async with aclosing(stream.events) as events:
        async for block in events:
            for data in event_data(block):
                if text := _text(data):
                    yield text


def _text(data: bytes) -> str | None:
    try:
        chunk = _decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise GenerationError(f"the engine sent a senseless chunk: {error}") from error
    if not chunk.choices:
        return None
    choice = chunk.choices[0]
    return choice.text if choice.delta is None else choice.delta.content
