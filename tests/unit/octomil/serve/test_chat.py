"""What a request leaves behind when its client is gone."""

import asyncio
import json
from collections import deque
from collections.abc import AsyncGenerator

from octomil.engines.base import EventStream, GenerationRequest
from octomil.engines.echo import EchoEngine
from octomil.serve.chat import GenerationEndpoint
from support.nodes import chat, node_of

HELLO = json.dumps(chat("Hello to you", stream=True)).encode()


class Watched(EchoEngine):
    """An echo whose streams are known to be open or closed."""

    open = 0

    def stream(self, request: GenerationRequest) -> EventStream:
        stream = super().stream(request)
        return EventStream(self._watched(stream.events), stream.usage)

    async def _watched(self, events: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
        self.open += 1
        try:
            async for block in events:
                yield block
        finally:
            self.open -= 1
            await events.aclose()


async def test_generation_has_stopped_before_its_turn_goes_to_the_next():
    """A generator that is only forgotten goes on until it is collected."""
    engine = Watched("small")
    arriving = deque([{"type": "http.request", "body": HELLO, "more_body": False}])
    reading, turns = asyncio.Event(), []

    async def receive():
        if not arriving:
            await reading.wait()
            return {"type": "http.disconnect"}
        return arriving.popleft()

    async def send(sent):
        if sent["type"] == "http.response.body":
            reading.set()
            await asyncio.Event().wait()  # the client has stopped to read

    async with node_of({"small": engine}) as node:
        release = node.turnstile("small").queue.release
        node.turnstile("small").queue.release = lambda: (turns.append(engine.open), release())
        scope = {"type": "http", "path": "/", "method": "POST", "headers": []}
        await GenerationEndpoint(node, "chat/completions")(scope, receive, send)

    assert turns == [0]
