"""`--fallback`: an unsure answer is given by a stronger model, and the client sees one answer."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest

from octomil.routing.confidence import WINDOW_TOKENS
from support.nodes import chat, client_of, composed_node
from support.sse import read_stream
from support.upstream import Answer, FakeUpstream, completion, doubtful, failure, fake_upstream

CHAT = "/v1/chat/completions"
EASY = "Hello"
HARD = (
    "Explain the tradeoffs between FedAvg and FedProx for non-IID data distributions across "
    "heterogeneous edge devices."
)
UNSURE, SURE = -3.0, -0.01


@pytest.fixture
def upstream():
    with fake_upstream() as upstream:
        yield upstream


@asynccontextmanager
async def client(
    upstream: FakeUpstream, *names: str, **options
) -> AsyncIterator[httpx.AsyncClient]:
    models = [f"openai:{name}" for name in names or ("small", "large")]
    options = {"auto_route": True, "fallback": True, "env": upstream.env, **options}
    async with composed_node(*models, **options) as node, client_of(node) as opened:
        yield opened


def told(response: httpx.Response) -> tuple[str, str, str | None]:
    names = ("Routed-Model", "Routing-Tier", "Escalated-From")
    return tuple(response.headers.get(f"X-Octomil-{name}") for name in names)


def said(response: httpx.Response) -> str:
    assert response.status_code == 200, response.text
    if response.headers["content-type"].startswith("text/event-stream"):
        return read_stream(response).text
    return response.json()["choices"][0]["message"]["content"]


@pytest.mark.parametrize("stream", [False, True])
async def test_unsure_answer_is_given_by_the_next_model_unseen(upstream, stream):
    upstream.always("small", Answer(doubtful("well perhaps", UNSURE)))
    async with client(upstream) as node:
        response = await node.post(CHAT, json=chat(EASY, stream=stream))

    assert (said(response), told(response)) == ("this is large", ("large", "3", "small"))
    assert "perhaps" not in response.text


async def test_sure_answer_of_the_small_model_stays(upstream):
    upstream.always("small", Answer(doubtful("certainly yes", SURE)))
    async with client(upstream) as node:
        response = await node.post(CHAT, json=chat(EASY))

    assert (said(response), told(response)) == ("certainlyyes", ("small", "1", None))
    choice = response.json()["choices"][0]
    assert choice["message"].keys() == {"role", "content"}
    assert choice["logprobs"] is None
    assert upstream.requests("large") == []


async def test_escalation_goes_from_tier_to_tier(upstream):
    for name in ("small", "middle"):
        upstream.always(name, Answer(doubtful("perhaps", UNSURE)))
    async with client(upstream, "small", "middle", "large") as node:
        response = await node.post(CHAT, json=chat(EASY))

    assert (said(response), told(response)) == ("this is large", ("large", "3", "small,middle"))


@pytest.mark.parametrize("stream", [False, True])
async def test_unsure_answer_of_the_strongest_model_is_its_own(upstream, stream):
    whole = [completion("who knows")]
    upstream.always("large", Answer(doubtful("who knows", UNSURE) if stream else whole))
    async with client(upstream) as node:
        response = await node.post(CHAT, json=chat(HARD, stream=stream))

    assert told(response) == ("large", "3", None)
    assert said(response).replace(" ", "") == "whoknows"
    assert upstream.requests("small") == []
    assert "logprobs" not in upstream.requests("large")[0].body


async def test_last_model_s_answer_is_taken_however_unsure(upstream):
    upstream.always("small", Answer(doubtful("perhaps", UNSURE)))
    upstream.always("large", Answer([completion("who knows")]))
    async with client(upstream) as node:
        response = await node.post(CHAT, json=chat(EASY))

    assert said(response) == "who knows"


async def test_unsure_model_is_believed_when_the_stronger_one_fails(upstream):
    upstream.script("small", Answer(doubtful("perhaps", UNSURE)), Answer([completion("perhaps")]))
    upstream.always("large", failure(500))
    async with client(upstream) as node:
        response = await node.post(CHAT, json=chat(EASY))

    assert (said(response), told(response)) == ("perhaps", ("small", "1", "small"))


async def test_model_named_by_the_client_is_never_doubted(upstream):
    upstream.always("small", Answer(doubtful("well perhaps", UNSURE)))
    async with client(upstream) as node:
        response = await node.post(CHAT, json=chat(EASY, model="small", stream=True))

    assert (said(response), told(response)) == ("wellperhaps", ("small", "1", None))


async def test_nobody_is_doubted_without_the_flag(upstream):
    upstream.always("small", Answer(doubtful("well perhaps", UNSURE)))
    async with client(upstream, fallback=False) as node:
        response = await node.post(CHAT, json=chat(EASY, stream=True))

    assert (said(response), told(response)) == ("wellperhaps", ("small", "1", None))


async def test_tokens_that_were_held_back_are_told_from_those_that_came_later(upstream):
    upstream.always("small", Answer(doubtful("word " * 40, SURE, prompt_tokens=3)))
    models, seen = ["openai:small", "openai:large"], []
    options = {"auto_route": True, "fallback": True, "env": upstream.env}
    async with composed_node(*models, **options) as node, client_of(node) as opened:
        node.recorder.record = seen.append
        await opened.post(CHAT, json=chat(EASY, stream=True))

    (one,) = seen
    assert one.first_tokens >= WINDOW_TOKENS
    assert one.usage.completion_tokens == 40


async def test_statistics_and_metrics_tell_of_escalations_and_their_tokens(upstream):
    upstream.always("small", Answer(doubtful("well perhaps", UNSURE)))
    async with client(upstream) as node:
        await node.post(CHAT, json=chat(EASY))
        stats = (await node.get("/v1/routing/stats")).json()
        metrics = (await node.get("/metrics")).text.splitlines()

    assert stats["escalations"] == {"total": 1, "from": {"small": 1}}
    assert stats["routing_distribution"]["large"]["count"] == stats["total_requests"] == 1
    assert 'octomil:escalations_total{model_name="small"} 1.0' in metrics
    assert 'octomil:generation_tokens_total{model_name="small"} 2.0' in metrics
    assert 'octomil:generation_tokens_total{model_name="large"} 3.0' in metrics
