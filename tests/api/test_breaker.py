"""A breaker per engine: what keeps failing is not asked any more."""

import asyncio

import pytest

from octomil.engines.echo import EchoEngine
from octomil.errors import GenerationError
from octomil.serve.breakers import Breakers
from support.nodes import chat, client_of, composed_node, node_of
from support.prometheus import read_metrics
from support.upstream import CUT, Answer, chunk, doubtful, event, failure, fake_upstream
from support.waiting import PATIENCE_S

CHAT = "/v1/chat/completions"
EMBEDDINGS = "/v1/embeddings"
DOWN = failure(500)
TO_OPEN = 5
HARD = "Explain the tradeoffs between FedAvg and FedProx for non-IID data distributions."


@pytest.fixture(autouse=True)
def no_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """No time passes in which a breaker could get over it, however busy the machine."""
    monkeypatch.setitem(Breakers.__init__.__kwdefaults__, "clock", lambda: 1000.0)


@pytest.fixture
def upstream():
    with fake_upstream() as upstream:
        yield upstream


async def break_down(client, upstream, model="small"):
    """Let a model fail until its breaker opens, and forget what was asked until then."""
    upstream.always(model, DOWN)
    for _ in range(TO_OPEN):
        assert (await client.post(CHAT, json=chat("Hello", model=model))).status_code == 502
    upstream.seen.clear()


async def breaker_metrics(client):
    told = read_metrics((await client.get("/metrics")).text)
    return told["octomil:breaker_state"], told["octomil:breaker_transitions_total"]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (CHAT, chat("Hello", model="small")),
        (CHAT, chat("Hello", model="small", stream=True)),
        ("/v1/completions", {"model": "small", "prompt": "x"}),
        (EMBEDDINGS, {"model": "small", "input": "x"}),
    ],
)
async def test_engine_that_keeps_failing_is_not_asked_any_more(upstream, path, body):
    async with (
        composed_node("openai:small", env=upstream.env) as node,
        client_of(node) as client,
    ):
        upstream.always("small", DOWN)
        for _ in range(TO_OPEN):
            assert (await client.post(path, json=body)).status_code == 502
        upstream.seen.clear()

        response = await client.post(path, json=body)
        state, transitions = await breaker_metrics(client)
        health = (await client.get("/health")).json()["models"]["small"]

    assert response.status_code == 503
    assert response.json()["error"]["code"] == "engine_unavailable"
    assert "5 consecutive failures" in response.json()["error"]["message"]
    assert 1 <= int(response.headers["Retry-After"]) <= 6
    assert upstream.seen == []
    assert state.value(model_name="small") == 2
    assert transitions.value(model_name="small", to="open") == 1
    assert health == {"state": "ready", "restarts": 0, "breaker": "open"}


async def test_routed_request_goes_on_to_the_next_model_at_once(upstream):
    async with (
        composed_node("openai:small", "openai:large", auto_route=True, env=upstream.env) as node,
        client_of(node) as client,
    ):
        await break_down(client, upstream)
        response = await client.post(CHAT, json=chat("Hello"))

    assert response.headers["X-Octomil-Routed-Model"] == "large"
    assert upstream.requests("small") == []


async def test_nobody_is_doubted_for_a_model_whose_breaker_is_open(upstream):
    async with (
        composed_node(
            "openai:small", "openai:large", auto_route=True, fallback=True, env=upstream.env
        ) as node,
        client_of(node) as client,
    ):
        await break_down(client, upstream, "large")
        response = await client.post(CHAT, json=chat("Hello"))

    assert response.headers["X-Octomil-Routed-Model"] == "small"
    assert "logprobs" not in upstream.requests("small")[0].body


async def test_client_s_own_faults_do_not_count(upstream):
    async with (
        composed_node("openai:small", env=upstream.env) as node,
        client_of(node) as client,
    ):
        upstream.always("small", failure(400, "no such field"))
        for _ in range(2 * TO_OPEN):
            response = await client.post(CHAT, json=chat("Hello", model="small"))
            assert response.status_code == 400
        state, _ = await breaker_metrics(client)

    assert len(upstream.seen) == 2 * TO_OPEN
    assert state.value(model_name="small") == 0


async def test_unsure_answers_do_not_count(upstream):
    upstream.always("small", Answer(doubtful("well perhaps", -3.0)))
    async with (
        composed_node(
            "openai:small", "openai:large", auto_route=True, fallback=True, env=upstream.env
        ) as node,
        client_of(node) as client,
    ):
        for _ in range(2 * TO_OPEN):
            response = await client.post(CHAT, json=chat("Hello"))
            assert response.headers["X-Octomil-Escalated-From"] == "small"
        state, _ = await breaker_metrics(client)

    assert state.value(model_name="small") == 0


async def test_too_long_a_queue_and_too_high_a_cost_do_not_count(upstream, tmp_path):
    options = {
        "prices": ("openai:small=1000/1000",),
        "spend_cap_usd": 0.0,
        "env": {**upstream.env, "OCTOMIL_STATE_DIR": str(tmp_path)},
    }
    async with composed_node("openai:small", **options) as node, client_of(node) as client:
        for _ in range(2 * TO_OPEN):
            response = await client.post(CHAT, json=chat("Hello", model="small"))
            assert response.status_code == 429
        state, _ = await breaker_metrics(client)

    assert state.value(model_name="small") == 0


class Mortal(EchoEngine):
    """Dies once, when it is told."""

    def __init__(self) -> None:
        super().__init__("small")
        self.dies = asyncio.Event()

    async def failure(self) -> str:
        await self.dies.wait()
        self.dies.clear()
        return "its time had come"


async def test_engine_that_was_brought_back_is_asked_at_once():
    engine, back = Mortal(), asyncio.Event()
    async with node_of({"small": engine}) as node, client_of(node) as client:
        for _ in range(TO_OPEN):
            with pytest.raises(GenerationError), node.breakers.call("small"):
                raise GenerationError("lost")
        assert (await client.post(CHAT, json=chat("Hello"))).status_code == 503

        node.pool.on_ready(lambda _: back.set())
        engine.dies.set()
        async with asyncio.timeout(PATIENCE_S):
            await back.wait()

        assert (await client.post(CHAT, json=chat("Hello"))).status_code == 200


async def test_breaker_that_is_switched_off_lets_everything_through(upstream):
    async with (
        composed_node("openai:small", breaker_failures=0, env=upstream.env) as node,
        client_of(node) as client,
    ):
        upstream.always("small", DOWN)
        for _ in range(40):
            await client.post(CHAT, json=chat("Hello", model="small"))

    assert len(upstream.seen) == 40


async def test_stream_that_breaks_off_counts_although_it_began(upstream):
    upstream.always("small", Answer([event(chunk("a")), CUT]))
    async with (
        composed_node("openai:small", env=upstream.env) as node,
        client_of(node) as client,
    ):
        for _ in range(TO_OPEN):
            await client.post(CHAT, json=chat("Hello", model="small", stream=True))
        state, _ = await breaker_metrics(client)

    assert state.value(model_name="small") == 2
