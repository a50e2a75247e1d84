"""A follow-up goes to no weaker model than the one that led the conversation so far."""

import pytest

from support.nodes import chat, client_of, composed_node
from support.sse import read_stream

CHAT = "/v1/chat/completions"
HARD = (
    "Explain the tradeoffs between FedAvg and FedProx for non-IID data distributions across "
    "heterogeneous edge devices."
)


@pytest.fixture
async def client():
    async with (
        composed_node("echo:small", "echo:large", auto_route=True) as node,
        client_of(node) as opened,
    ):
        yield opened


def went_to(response):
    return response.headers["X-Octomil-Routed-Model"]


def follow_up(first, answer, text, **body):
    said = [
        {"role": "user", "content": first},
        {"role": "assistant", "content": answer},
        {"role": "user", "content": text},
    ]
    return {"model": "auto", "messages": said, **body}


@pytest.mark.parametrize("stream", [False, True])
async def test_follow_up_stays_with_its_model(client, stream):
    first = await client.post(CHAT, json=chat(HARD, stream=stream))
    answer = read_stream(first).text if stream else first.json()["choices"][0]["message"]["content"]

    second = await client.post(CHAT, json=follow_up(HARD, answer, "Thanks!"))

    assert (went_to(first), went_to(second)) == ("large", "large")


async def test_harder_follow_up_goes_up(client):
    await client.post(CHAT, json=chat("Hello"))

    assert went_to(await client.post(CHAT, json=follow_up("Hello", "Hi!", HARD))) == "large"


async def test_conversation_nobody_led_is_routed_by_its_score(client):
    response = await client.post(CHAT, json=follow_up("Hello", "Hi!", "Thanks!"))

    assert went_to(response) == "small"


async def test_exact_answers_need_no_model_in_any_conversation(client):
    await client.post(CHAT, json=chat(HARD))

    assert went_to(await client.post(CHAT, json=follow_up(HARD, "...", "What is 2+2?"))) == "tier0"


async def test_model_a_client_named_leads_nothing(client):
    await client.post(CHAT, json=chat("Hello", model="large"))

    assert went_to(await client.post(CHAT, json=follow_up("Hello", "Hi!", "Thanks!"))) == "small"
