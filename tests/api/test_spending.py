"""`--price` and `--spend-cap`: what paid models cost, and no more than that a day."""

import asyncio
import re
import sqlite3
from contextlib import closing
from datetime import UTC, datetime

import pytest

from octomil.errors import ConfigurationError
from octomil.serve.spending import SpendCap
from octomil.serve.token_estimates import (
    ASSUMED_ANSWER_TOKENS,
    most_answer_tokens,
    most_prompt_tokens,
)
from support.nodes import chat, client_of, composed_node
from support.upstream import (
    CUT,
    DONE,
    Answer,
    Gate,
    chunk,
    doubtful,
    event,
    failure,
    fake_upstream,
    words,
)

CHAT = "/v1/chat/completions"
PRICE = "openai:large=1000/2000"  # a thousandth and two thousandths of a dollar a token
BODY = chat("Hello", model="large", max_tokens=5)
"""An answer to it by `large` costs 3 prompt tokens and 3 others."""
COST = 3 * 0.001 + 3 * 0.002
MOST = most_prompt_tokens(BODY) * 0.001 + most_answer_tokens(BODY) * 0.002
"""What is set aside for it."""


@pytest.fixture(autouse=True)
def noon(monkeypatch: pytest.MonkeyPatch) -> None:
    """No day ends while a test runs, whose spending is the day's."""
    moment = datetime(2026, 3, 1, 12, tzinfo=UTC)
    monkeypatch.setitem(SpendCap.__init__.__kwdefaults__, "now", lambda: moment)


@pytest.fixture
def upstream():
    with fake_upstream() as upstream:
        yield upstream


@pytest.fixture
def node(upstream, tmp_path):
    """A node with a free and a paid model; each start shares the ledger."""

    def make(*models, **options):
        variables = {name: options.pop(name) for name in list(options) if name.isupper()}
        env = {**upstream.env, "OCTOMIL_STATE_DIR": str(tmp_path), **variables}
        options = {"prices": (PRICE,), "auto_route": True, "env": env, **options}
        return composed_node(*(models or ("echo:small", "openai:large")), **options)

    return make


def cost(metrics):
    line = 'octomil:cost_usd_total{model_name="large"} '
    return sum(
        float(found.removeprefix(line)) for found in metrics.splitlines() if found.startswith(line)
    )


async def test_answers_of_a_paid_model_are_billed_by_their_tokens(node):
    async with node() as paid, client_of(paid) as client:
        await client.post(CHAT, json=chat("Hello", model="large"))
        metrics = (await client.get("/metrics")).text

    assert cost(metrics) == pytest.approx(COST)


async def test_cap_lets_through_what_fits_and_refuses_the_rest(node):
    cap = MOST + 1.5 * COST
    async with node(spend_cap_usd=cap) as paid, client_of(paid) as client:
        first, again = [await client.post(CHAT, json=BODY) for _ in range(2)]
        greedy = await client.post(CHAT, json=BODY | {"max_tokens": 50})

    assert (first.status_code, again.status_code) == (200, 200)
    assert greedy.status_code == 429
    error = greedy.json()["error"]
    assert (error["type"], error["code"]) == ("insufficient_quota", "spend_cap_reached")
    assert f"and ${2 * COST:.4f} of today's ${cap:g} are spent or set aside" in error["message"]
    assert 1 <= int(greedy.headers["Retry-After"]) <= 24 * 3600


async def test_routed_request_goes_to_a_free_model_once_the_cap_is_reached(node):
    hard = "Explain the tradeoffs between FedAvg and FedProx for non-IID data distributions."
    async with node(spend_cap_usd=0) as paid, client_of(paid) as client:
        response = await client.post(CHAT, json=chat(hard))

    assert response.status_code == 200
    assert response.headers["X-Octomil-Routed-Model"] == "small"


async def test_nobody_is_doubted_for_a_model_that_cannot_be_paid(node, upstream):
    upstream.always("small", Answer(words("perhaps")))
    async with (
        node("openai:small", "openai:large", prices=(PRICE, "openai:small=0/0"), fallback=True,
             spend_cap_usd=0.001) as paid,
        client_of(paid) as client,
    ):  # fmt: skip
        response = await client.post(CHAT, json=chat("Hello"))

    assert response.headers["X-Octomil-Routed-Model"] == "small"
    assert "logprobs" not in upstream.requests("small")[0].body


@pytest.mark.parametrize("name", ["large", "openai:large"])
async def test_model_has_its_price_under_each_of_its_names(node, name):
    async with node(prices=(f"{name}=1000/2000",), spend_cap_usd=5) as paid:
        assert await spent(paid, BODY | {"model": name}) == pytest.approx(COST)


async def test_hint_for_a_missing_price_works_as_it_is_written(node):
    models = ("openai:small", "openai:large")
    with pytest.raises(ConfigurationError) as refused:
        async with node(*models, prices=("small=0/0",), spend_cap_usd=5):
            pass
    (hint,) = re.findall(r"--price (\S+)=IN/OUT", str(refused.value))

    async with node(*models, prices=("small=0/0", f"{hint}=1000/2000"), spend_cap_usd=5) as paid:
        assert await spent(paid) == pytest.approx(COST)


async def test_locked_ledger_keeps_no_answer_waiting_and_loses_no_cent(node, upstream, tmp_path):
    gate = Gate()
    upstream.always("large", Answer(words("Hello"), hold=gate))
    database = sqlite3.connect(tmp_path / "spending.sqlite3", isolation_level=None)
    with closing(database) as neighbour:
        async with node(spend_cap_usd=5) as paid, client_of(paid) as client:
            asking = asyncio.create_task(client.post(CHAT, json=BODY))
            await asyncio.to_thread(gate.await_waiting)
            neighbour.execute("BEGIN IMMEDIATE")
            gate.open()
            answers = [await asking, await client.post(CHAT, json=chat("Hello", model="small"))]
            neighbour.execute("ROLLBACK")
            cost_usd = cost((await client.get("/metrics")).text)

        assert [answer.status_code for answer in answers] == [200, 200]
        assert neighbour.execute("SELECT usd FROM spent").fetchall() == [(cost_usd,)]


async def test_restart_forgets_no_cent(node):
    for status in (200, 429):
        async with node(spend_cap_usd=MOST + COST / 2) as paid, client_of(paid) as client:
            assert (await client.post(CHAT, json=BODY)).status_code == status


async def test_dropped_answer_of_a_paid_model_costs_what_it_took(node, upstream):
    upstream.always("large", Answer(doubtful("well perhaps", -3.0)))
    async with (
        node(
            "openai:large", "openai:best", prices=(PRICE, "openai:best=0/0"), fallback=True
        ) as paid,
        client_of(paid) as client,
    ):
        response = await client.post(CHAT, json=chat("Hello"))
        metrics = (await client.get("/metrics")).text

    assert response.headers["X-Octomil-Escalated-From"] == "large"
    assert cost(metrics) > 2 * 0.002  # both words, and an estimate of the prompt


async def spent(paid, body=BODY):
    """What the ledger says after one request, which the metrics say as well."""
    async with client_of(paid) as client:
        await client.post(CHAT, json=body)
        metrics = (await client.get("/metrics")).text
    assert await paid.till.cap.spent_today_usd() == pytest.approx(cost(metrics))
    return cost(metrics)


LOST = {
    "closed at once": Answer([CUT]),
    "broken off": Answer([event(chunk("Hel"))[:-9], CUT]),
    "ended too early": Answer([event({**chunk(), "choices": []})]),
    "senseless": Answer([event(b'{"usage": 5, "finish_reason": "'), DONE]),
    "silent": None,
}


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("how", LOST)
async def test_prompt_costs_also_where_no_answer_came(node, upstream, how, stream):
    upstream.always("large", LOST[how] or Answer(words("too late"), hold=Gate()))
    async with node(spend_cap_usd=5, LLM_BACKEND_TIMEOUT="0.3") as paid:
        assert 0.009 <= await spent(paid, BODY | {"stream": stream}) <= 0.02


@pytest.mark.parametrize("status", [400, 401, 404, 429, 500, 503])
async def test_refusal_costs_nothing(node, upstream, status):
    upstream.always("large", failure(status))
    async with node(spend_cap_usd=5) as paid:
        assert await spent(paid) == 0


@pytest.mark.parametrize("stream", [False, True])
async def test_answer_whose_usage_nobody_told_costs_all_the_same(node, upstream, stream):
    said = [event(chunk("low ")), event(chunk("tide")), event(chunk(finish="stop")), DONE]
    upstream.always("large", Answer(said))
    async with node(spend_cap_usd=5) as paid:
        usd = await spent(paid, BODY | {"stream": stream})

    assert 0.009 <= usd - 2 * 0.002 <= 0.02


@pytest.mark.parametrize("stream", [False, True])
async def test_sound_whose_usage_nobody_told_costs_a_token_a_chunk(node, upstream, stream):
    said = [chunk() for _ in range(3)]
    for part in said:
        part["choices"][0]["delta"] = {"audio": {"data": "AAAA"}}
    upstream.always("large", Answer([*map(event, said), event(chunk(finish="stop")), DONE]))
    async with node(spend_cap_usd=5) as paid:
        usd = await spent(paid, BODY | {"stream": stream})

    assert 0.009 <= usd - 3 * 0.002 <= 0.02


@pytest.mark.parametrize("stream", [False, True])
async def test_model_under_a_cap_is_told_to_stop_where_the_client_says_nothing(
    node, upstream, stream
):
    asked = chat("Hello", model="large", stream=stream)
    limits = ({}, {"max_tokens": 7}, {"max_completion_tokens": 8})
    async with node(spend_cap_usd=50) as paid, client_of(paid) as client:
        for limit in limits:
            await client.post(CHAT, json=asked | limit)
    async with node() as paid, client_of(paid) as client:
        await client.post(CHAT, json=asked)

    told = [
        {name: seen.body[name] for name in seen.body if name.startswith("max_")}
        for seen in upstream.requests("large")
    ]
    assert told == [{"max_tokens": ASSUMED_ANSWER_TOKENS}, *limits[1:], {}]


@pytest.mark.parametrize(
    "more",
    [
        {"prompt": ["a", "b", "c"]},
        {"prompt": "a", "best_of": 3},
        {"prompt": "a", "n": 3},
        {"prompt": "潮" * 2000, "max_tokens": 5},
        {"prompt": "1 " * 3000, "max_tokens": 5},
    ],
)
async def test_whatever_multiplies_the_cost_is_set_aside_for(node, upstream, more):
    body = {"model": "large", "max_tokens": 1000, **more}
    async with node(spend_cap_usd=5.0) as paid, client_of(paid) as client:
        refused = await client.post("/v1/completions", json=body)

    assert refused.status_code == 429
    assert upstream.requests("large") == []


@pytest.mark.parametrize("field", ["tools", "functions", "response_format"])
async def test_what_a_model_reads_besides_the_text_is_set_aside_for(node, upstream, field):
    schema = {"type": "object", "description": "tide " * 300}
    function = {"name": "look", "parameters": schema}
    asked = {
        "tools": [{"type": "function", "function": function}],
        "functions": [function],
        "response_format": {"type": "json_schema", "json_schema": {"name": "t", "schema": schema}},
    }
    async with node(spend_cap_usd=5.0) as paid, client_of(paid) as client:
        refused = await client.post(CHAT, json=BODY | {field: asked[field]})

    assert refused.status_code == 429
    assert upstream.requests("large") == []


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"prices": ("openai:other=1/2",)}, "--price for 'openai:other', which is not served"),
        ({"prices": ("lagre=1/2",)}, "--price for 'lagre', which is not served; served: small, l"),
        ({"prices": (PRICE, "large=1/2")}, "'large' has two prices"),
        ({"prices": ("openai:large=cheap",)}, "'cheap' is not a price"),
        ({"prices": (), "spend_cap_usd": 1.0}, "a spend cap needs the price of 'large'"),
        ({"spend_cap_usd": -1.0}, "spend cap must be 0 or more"),
    ],
)
async def test_contradictions_are_refused_at_the_start(node, options, complaint):
    with pytest.raises(ConfigurationError, match=complaint):
        async with node(**options):
            pass
