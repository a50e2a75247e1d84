"""A backend inside of the test's own process."""

import json
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import aclosing

from octomil.control.ports import Ending, GenerationQuery, Piece
from octomil.engines.base import Embeddings, GenerationRequest
from octomil.engines.echo import EchoEngine
from octomil.errors import UnknownModelError
from octomil.http.sse import event_data


class EchoBackend:
    """A backend that says the last message back: the port without a network.

    Args:
        name: its own.
        models: that it has; None for every one.
    """

    def __init__(self, name: str = "echo", models: Sequence[str] | None = None) -> None:
        self.name = name
        self._models = models
        self._engine = EchoEngine(name)

    async def stream(self, query: GenerationQuery) -> AsyncGenerator[Piece, None]:
        await self._ready(query.model)
        given = query.parameters
        body = {
            "messages": [{"role": each.role, "content": each.content} for each in query.messages],
            "max_tokens": given.max_tokens,
            "stop": given.stop,
        }
        answer = self._engine.stream(GenerationRequest("chat/completions", body))
        async with aclosing(answer.events) as events:
            async for block in events:
                for text in _texts(block):
                    yield Piece(text)
        used = answer.usage
        yield Piece(
            "",
            Ending(used.finish_reason or "stop", used.prompt_tokens, used.completion_tokens),
        )

    async def embed(self, model: str, texts: Sequence[str]) -> Embeddings:
        await self._ready(model)
        return await self._engine.embed(texts)

    async def models(self) -> Sequence[str]:
        return list(self._models or ["echo"])

    async def close(self) -> None:
        await self._engine.close()

    async def _ready(self, model: str) -> None:
        if self._models is not None and model not in self._models:
            raise UnknownModelError(f"there is no model {model!r}")
        await self._engine.load(lambda line: None)


def _texts(block: bytes) -> Iterator[str]:
    for data in event_data(block):
        for choice in json.loads(data)["choices"]:
            if text := choice["delta"].get("content"):
                yield text
