"""`--price` and `--spend-cap`: what paid models cost, and no more than that a day."""

import pytest

from octomil.errors import ConfigurationError
from support.nodes import chat, client_of, composed_node
from support.upstream import Answer, doubtful, fake_upstream, words

CHAT = "/v1/chat/completions"
PRICE = "openai:large=1000/2000"  # a thousandth and two thousandths of a dollar a token


@pytest.fixture
def upstream():
    with fake_upstream() as upstream:
        yield upstream


@pytest.fixture
def node(upstream, tmp_path):
    """A node with a free and a paid model; each start shares the ledger."""

    def make(*models, **options):
        env = {**upstream.env, "OCTOMIL_STATE_DIR": str(tmp_path)}
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

    assert cost(metrics) == pytest.approx(0.003 + 3 * 0.002)


async def test_cap_lets_through_what_fits_and_refuses_the_rest(node):
    async with node(spend_cap_usd=0.05) as paid, client_of(paid) as client:
        body = chat("Hello", model="large", max_tokens=5)
        first = await client.post(CHAT, json=body)
        greedy = await client.post(CHAT, json=body | {"max_tokens": 50})

    assert first.status_code == 200
    assert greedy.status_code == 429
    error = greedy.json()["error"]
    assert (error["type"], error["code"]) == ("insufficient_quota", "spend_cap_reached")
    assert "and $0.0090 of today's $0.05 are spent or set aside" in error["message"]
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


async def test_restart_forgets_no_cent(node):
    body = chat("Hello", model="large", max_tokens=5)
    for status in (200, 429):
        async with node(spend_cap_usd=0.03) as paid, client_of(paid) as client:
            assert (await client.post(CHAT, json=body)).status_code == status


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


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"prices": ("openai:other=1/2",)}, "--price for 'other', which is not served"),
        ({"prices": ("openai:large=cheap",)}, "'cheap' is not a price"),
        ({"prices": (), "spend_cap_usd": 1.0}, "a spend cap needs the price of 'large'"),
        ({"spend_cap_usd": -1.0}, "spend cap must be 0 or more"),
    ],
)
async def test_contradictions_are_refused_at_the_start(node, options, complaint):
    with pytest.raises(ConfigurationError, match=complaint):
        async with node(**options):
            pass
