"""The times in `/metrics`: in the queue, to the first token, between tokens, on every way out."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager

import httpx
import pytest

from octomil.engines.base import EventStream, GenerationRequest
from octomil.engines.echo import EchoEngine
from octomil.errors import GenerationError
from octomil.routing.prices import Price
from octomil.serve.node import Node
from octomil.serve.till import Till
from support.nodes import chat, client_of, composed_node, node_of
from support.prometheus import read_metrics
from support.upstream import Answer, doubtful, fake_upstream

CHAT = "/v1/chat/completions"
QUEUE, TTFT, ITL = "request_queue_time", "time_to_first_token", "inter_token_latency"
WORDS = "one two three four five six"
PRICED = {"till": Till({"small": Price(1, 2)})}
"""With a price, the node streams whole answers inside."""


@pytest.fixture
def upstream():
    with fake_upstream() as upstream:
        yield upstream


async def counts(client: httpx.AsyncClient, *names: str, model: str = "small") -> tuple[float, ...]:
    told = read_metrics((await client.get("/metrics")).text)
    return tuple(told[f"octomil:{n}_seconds"].value("_count", model_name=model) for n in names)


@asynccontextmanager
async def taken(node: Node, model: str) -> AsyncIterator[None]:
    """Every turn at a model is taken until the block ends."""
    queue = node.turnstile(model).queue
    for _ in range(queue.max_concurrency):
        await queue.acquire()
    try:
        yield
    finally:
        for _ in range(queue.max_concurrency):
            queue.release()


# ---- in the queue ----


async def test_request_that_waited_in_vain_counts_with_the_time_it_waited():
    async with (
        node_of({"small": EchoEngine("small")}, queue_timeout_s=0.1) as node,
        client_of(node) as client,
    ):
        async with taken(node, "small"):
            response = await client.post(CHAT, json=chat("Hello"))
        told = read_metrics((await client.get("/metrics")).text)[f"octomil:{QUEUE}_seconds"]

    assert response.status_code == 504
    assert told.value("_count", model_name="small") == 1
    assert told.value("_bucket", model_name="small", le="0.04") == 0


@pytest.mark.parametrize(
    ("path", "body"), [(CHAT, chat("Hello")), ("/v1/embeddings", {"model": "small", "input": "x"})]
)
async def test_request_that_found_the_queue_full_waited_for_nothing(path, body):
    async with (
        node_of({"small": EchoEngine("small")}, max_queue=0) as node,
        client_of(node) as client,
    ):
        async with taken(node, "small"):
            response = await client.post(path, json=body)
        refused = await counts(client, QUEUE)
        await client.post(path, json=body)

        assert response.status_code == 429
        assert (refused, await counts(client, QUEUE)) == ((0,), (1,))


async def test_request_whose_client_leaves_the_queue_counts_with_the_time_it_waited():
    async with node_of({"small": EchoEngine("small")}) as node, client_of(node) as client:
        async with taken(node, "small"):
            asking = asyncio.create_task(client.post(CHAT, json=chat("Hello")))
            while not node.turnstile("small").queue.stats().pending:
                await asyncio.sleep(0)
            asking.cancel()
            with pytest.raises(asyncio.CancelledError):
                await asking

        assert await counts(client, QUEUE) == (1,)


async def test_request_that_reaches_no_queue_counts_in_none(upstream):
    options = {"prices": ("openai:small=1/2",), "spend_cap_usd": 1e-9, "env": upstream.env}
    async with composed_node("openai:small", **options) as node, client_of(node) as client:
        response = await client.post(CHAT, json=chat("Hello"))

        assert response.status_code == 429
        assert await counts(client, QUEUE) == (0,)


async def test_each_model_that_was_asked_counts_the_wait_for_its_own_turn(upstream):
    upstream.always("small", Answer(doubtful("well perhaps", -3.0)))
    models = ("openai:small", "openai:large")
    options = {"auto_route": True, "fallback": True, "env": upstream.env}
    async with composed_node(*models, **options) as node, client_of(node) as client:
        response = await client.post(CHAT, json=chat("Hello"))

        assert response.headers["X-Octomil-Routed-Model"] == "large"
        assert await counts(client, QUEUE) == (1,)
        assert await counts(client, QUEUE, model="large") == (1,)


# ---- to and between tokens ----


class Halting(EchoEngine):
    """Says a part of its answer; then it breaks down, or says no more.

    Args:
        said: tokens it says.
        breaks: whether it breaks down.
    """

    def __init__(self, *, said: int, breaks: bool) -> None:
        super().__init__("small")
        self._said = said
        self._breaks = breaks
        self.has_halted = asyncio.Event()

    def stream(self, request: GenerationRequest) -> EventStream:
        whole = super().stream(request)
        return EventStream(self._beginning(whole), whole.usage)

    async def _beginning(self, whole: EventStream) -> AsyncGenerator[bytes, None]:
        async with aclosing(whole.events) as events:
            async for block in events:
                yield block
                if whole.usage.completion_tokens == self._said:
                    break
        self.has_halted.set()
        if self._breaks:
            raise GenerationError("broken")
        await asyncio.Event().wait()


@pytest.mark.parametrize("options", [{}, PRICED])
@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(("said", "between"), [(0, 0), (1, 0), (4, 1)])
async def test_answer_that_breaks_off_has_the_times_of_its_tokens(said, between, stream, options):
    engine = Halting(said=said, breaks=True)
    async with node_of({"small": engine}, **options) as node, client_of(node) as client:
        await client.post(CHAT, json=chat(WORDS, stream=stream))

        assert await counts(client, TTFT, ITL) == (1, between)
        told = read_metrics((await client.get("/metrics")).text)
        assert told["octomil:request_failure_total"].samples != {}


@pytest.mark.parametrize("options", [{}, PRICED])
@pytest.mark.parametrize("stream", [True, False])
async def test_answer_whose_client_leaves_has_its_tokens_and_their_times(stream, options):
    engine = Halting(said=4, breaks=False)
    async with node_of({"small": engine}, **options) as node, client_of(node) as client:
        asking = asyncio.create_task(client.post(CHAT, json=chat(WORDS, stream=stream)))
        await engine.has_halted.wait()
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking

        assert await counts(client, TTFT, ITL) == (1, 1)
        told = read_metrics((await client.get("/metrics")).text)
        assert told["octomil:generation_tokens_total"].value(model_name="small") == 4


@pytest.mark.parametrize("options", [{}, PRICED])
async def test_whole_answer_that_is_streamed_inside_has_the_times_of_its_tokens(options):
    async with (
        node_of({"small": EchoEngine("small")}, **options) as node,
        client_of(node) as client,
    ):
        await client.post(CHAT, json=chat(WORDS))

        assert await counts(client, TTFT, ITL) == (1, 1)


async def test_whole_answer_that_came_in_one_piece_has_no_first_token(upstream):
    async with (
        composed_node("openai:small", env=upstream.env) as node,
        client_of(node) as client,
    ):
        await client.post(CHAT, json=chat(WORDS))

        assert await counts(client, TTFT, ITL) == (0, 0)
        assert await counts(client, "e2e_request_latency") == (1,)


@pytest.mark.parametrize("stream", [True, False])
async def test_answer_of_one_token_has_no_time_between_tokens(stream):
    async with node_of({"small": EchoEngine("small")}) as node, client_of(node) as client:
        await client.post(CHAT, json=chat("one", stream=stream))

        assert await counts(client, TTFT, ITL) == (1, 0)
