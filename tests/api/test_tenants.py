"""Tokens and cost by who asked, as the client's key says."""

import pytest

from octomil.serve.keys import ClientKeys
from support.nodes import chat, client_of, composed_node
from support.prometheus import read_metrics
from support.upstream import Answer, doubtful, fake_upstream

CHAT = "/v1/chat/completions"
PRICES = ("openai:small=1000/2000", "openai:large=1000/2000")
KEYS = ClientKeys.parse(["plain", "ann=topsecret", "bob=third"])


@pytest.fixture
def upstream():
    with fake_upstream() as upstream:
        yield upstream


def bearer(key):
    return {"Authorization": f"Bearer {key}"}


async def told_to(client):
    return read_metrics((await client.get("/metrics", headers=bearer("plain"))).text)


async def test_each_tenant_has_its_own_tokens_and_cost(upstream):
    async with (
        composed_node("openai:small", prices=PRICES[:1], env=upstream.env) as node,
        client_of(node, keys=KEYS) as client,
    ):
        for key, times in (("plain", 1), ("topsecret", 2), ("third", 3)):
            for stream in [False, True, False][:times]:
                body = chat("Hello", stream=stream)
                response = await client.post(CHAT, json=body, headers=bearer(key))
                assert response.status_code == 200
        told = await told_to(client)

    tokens, cost = told["octomil:tenant_tokens_total"], told["octomil:tenant_cost_usd_total"]
    for tenant, times in (("default", 1), ("ann", 2), ("bob", 3)):
        whose = {"tenant": tenant, "model_name": "small"}
        assert tokens.value(**whose, direction="prompt") == 3 * times
        assert tokens.value(**whose, direction="completion") == 3 * times
        assert cost.value(**whose) == pytest.approx(0.009 * times)


async def test_unsure_answer_is_its_tenant_s_as_well(upstream):
    upstream.always("small", Answer(doubtful("well perhaps", -3.0)))
    async with (
        composed_node(
            *("openai:small", "openai:large"),
            prices=PRICES,
            auto_route=True,
            fallback=True,
            env=upstream.env,
        ) as node,
        client_of(node, keys=KEYS) as client,
    ):
        response = await client.post(CHAT, json=chat("Hello"), headers=bearer("third"))
        told = await told_to(client)

    assert response.headers["X-Octomil-Escalated-From"] == "small"
    tokens = told["octomil:tenant_tokens_total"]
    for model, count in (("small", 2), ("large", 3)):
        assert tokens.value(tenant="bob", model_name=model, direction="completion") == count


async def test_vectors_are_billed_to_their_tenant(upstream):
    async with (
        composed_node("openai:small", prices=PRICES[:1], env=upstream.env) as node,
        client_of(node, keys=KEYS) as client,
    ):
        body = {"model": "small", "input": "one two"}
        await client.post("/v1/embeddings", json=body, headers=bearer("topsecret"))
        told = await told_to(client)

    whose = {"tenant": "ann", "model_name": "small"}
    assert told["octomil:tenant_tokens_total"].value(**whose, direction="prompt") == 2
    assert told["octomil:tenant_cost_usd_total"].value(**whose) == pytest.approx(0.002)
    assert told["octomil:cost_usd_total"].value(model_name="small") == pytest.approx(0.002)


async def test_without_keys_everybody_is_the_default_tenant(upstream):
    async with (
        composed_node("openai:small", env=upstream.env) as node,
        client_of(node) as client,
    ):
        await client.post(CHAT, json=chat("Hello"), headers=bearer("topsecret"))
        told = read_metrics((await client.get("/metrics")).text)

    tenants = {dict(labels)["tenant"] for _, labels in told["octomil:tenant_tokens_total"].samples}
    assert tenants == {"default"}


async def test_nobody_s_key_reaches_no_model(upstream):
    async with (
        composed_node("openai:small", env=upstream.env) as node,
        client_of(node, keys=KEYS) as client,
    ):
        for key in ("ann", "ann=topsecret", "other"):
            response = await client.post(CHAT, json=chat("Hello"), headers=bearer(key))
            assert response.status_code == 401

    assert upstream.seen == []
