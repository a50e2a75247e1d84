"""`--fallback`: an unsure answer is given by a stronger model, and the client sees one answer."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest

from octomil.config import Settings
from octomil.engines.openai import OpenAIEngine
from octomil.routing.confidence import WINDOW_TOKENS
from support.nodes import chat, client_of, composed_node, node_of
from support.sse import read_stream
from support.upstream import (
    Answer,
    FakeUpstream,
    completion,
    doubtful,
    failure,
    fake_upstream,
    words,
)

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


REFUSAL = failure(400, "This model does not support logprobs")


@pytest.mark.parametrize("stream", [False, True])
async def test_model_that_refuses_to_tell_is_believed_and_not_asked_again(upstream, stream):
    upstream.script("small", REFUSAL)
    async with client(upstream) as node:
        answers = [await node.post(CHAT, json=chat(EASY, stream=stream)) for _ in range(2)]

    for response in answers:
        assert (said(response), told(response)) == ("this is small", ("small", "1", None))
    wishes = ["logprobs" in request.body for request in upstream.requests("small")]
    assert wishes == [True, False, False]


async def test_model_that_tells_nothing_is_not_asked_again(upstream):
    async with client(upstream) as node:
        for _ in range(2):
            upstream.script("small", Answer(words("this is small")))
            assert said(await node.post(CHAT, json=chat(EASY, stream=True))) == "this is small"

    wishes = ["logprobs" in request.body for request in upstream.requests("small")]
    assert wishes == [True, False]


@pytest.mark.parametrize("stream", [False, True])
async def test_request_that_makes_no_sense_leaves_doubt_as_it_is(upstream, stream):
    upstream.script("small", failure(400, "nonsense"), failure(400, "nonsense"))
    async with client(upstream) as node:
        refused = await node.post(CHAT, json=chat(EASY, stream=stream))
        upstream.always("small", Answer(doubtful("well perhaps", UNSURE)))
        response = await node.post(CHAT, json=chat(EASY, stream=stream))

    assert (refused.status_code, refused.json()["error"]["message"]) == (400, "nonsense")
    assert told(response) == ("large", "3", "small")


async def test_prompt_that_is_echoed_is_never_doubted(upstream):
    body = {"model": "auto", "prompt": "Hello", "echo": True}
    async with client(upstream) as node:
        await node.post("/v1/completions", json=body)

    (request,) = upstream.requests("small")
    assert "logprobs" not in request.body


async def test_model_that_was_loaded_anew_is_asked_again(upstream):
    settings = Settings.from_env(upstream.env)
    engines = {name: OpenAIEngine(name, settings) for name in ("small", "large")}
    async with node_of(engines, lazy=("large",), fallback=True) as node:
        node.logprobs.learn("large", tells=False)
        await node.pool.ready("large")

        assert node.logprobs.may_tell("large")


async def test_nobody_is_doubted_for_a_model_that_is_not_up(upstream):
    upstream.always("small", Answer(doubtful("well perhaps", UNSURE)))
    settings = Settings.from_env(upstream.env)
    engines = {name: OpenAIEngine(name, settings) for name in ("small", "large")}
    async with (
        node_of(engines, lazy=("large",), fallback=True) as loaded,
        client_of(loaded) as node,
    ):
        response = await node.post(CHAT, json=chat(EASY, stream=True))

    assert (said(response), told(response)) == ("wellperhaps", ("small", "1", None))
    assert len(upstream.requests("small")) == 1


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
    assert one.timing.first_tokens >= WINDOW_TOKENS
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
