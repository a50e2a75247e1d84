"""`GET /v1/routing/stats` and `GET /v1/queue/stats`."""

import httpx
import pytest

from support.nodes import chat, client_of, composed_node
from support.prometheus import Metric, read_metrics
from support.upstream import Answer, doubtful, failure, fake_upstream

HARD = (
    "Explain the tradeoffs between FedAvg and FedProx for non-IID data distributions across "
    "heterogeneous edge devices."
)
ROUTED = ("echo:small", "echo:medium", "echo:large")


@pytest.fixture
def upstream():
    with fake_upstream() as upstream:
        yield upstream


async def ask(client: httpx.AsyncClient, *queries: str, **body) -> None:
    for query in queries:
        await client.post("/v1/chat/completions", json=chat(query, **body))


async def metrics(client: httpx.AsyncClient) -> dict[str, Metric]:
    return read_metrics((await client.get("/metrics")).text)


async def routing(client: httpx.AsyncClient) -> dict:
    return (await client.get("/v1/routing/stats")).json()


def test_routing_statistics_have_the_documented_shape(echo_server):
    for query in ("Hello", "What is 2+2?", HARD):
        echo_server.chat(query)

    told = echo_server.get("/v1/routing/stats").json()

    assert told.keys() == {
        "total_requests",
        "routing_distribution",
        "avg_routing_latency_us",
        "estimated_savings",
        "subtasks",
        "escalations",
        "tier0_cache",
    }
    shares = told["routing_distribution"]
    assert list(shares)[:3] == ["tier0_deterministic", "small", "large"]
    assert all(entry.keys() == {"count", "percentage"} for entry in shares.values())
    assert sum(entry["count"] for entry in shares.values()) == told["total_requests"] >= 3
    assert sum(round(entry["percentage"] * 10) for entry in shares.values()) == 1000
    assert isinstance(told["avg_routing_latency_us"], int)
    savings = told["estimated_savings"]
    assert savings.keys() == {"vs_largest_model_only", "avg_latency_reduction_ms"}
    assert savings["vs_largest_model_only"].endswith("% fewer compute-seconds")
    assert isinstance(savings["avg_latency_reduction_ms"], int)


async def test_requests_are_counted_where_they_went_and_shares_add_up_to_one_hundred():
    async with composed_node(*ROUTED, auto_route=True) as node, client_of(node) as client:
        await ask(client, "Hello", "Hi there", "What is 2+2?", HARD)
        await ask(client, "Hello", stream=True)
        told = await routing(client)

    assert told["total_requests"] == 5
    assert told["routing_distribution"] == {
        "tier0_deterministic": {"count": 1, "percentage": 20.0},
        "small": {"count": 3, "percentage": 60.0},
        "medium": {"count": 0, "percentage": 0.0},
        "large": {"count": 1, "percentage": 20.0},
    }


async def test_what_nobody_routed_is_not_counted():
    async with composed_node(*ROUTED, auto_route=True) as node, client_of(node) as client:
        await ask(client, "Hello", model="medium")
        body, named = chat("Hello"), {"X-Model": "large"}
        await client.post("/v1/chat/completions", json=body, headers=named)
        told, shown = await routing(client), await metrics(client)
    async with composed_node(*ROUTED) as node, client_of(node) as client:
        await ask(client, "Hello")
        without_a_router = await routing(client)

    assert told["total_requests"] == without_a_router["total_requests"] == 0
    assert shown["octomil:routing_decisions_total"].samples == {}
    assert shown["octomil:routing_latency_seconds"].value("_count") == 0
    success = shown["octomil:request_success_total"]
    assert success.value(model_name="medium", finished_reason="stop") == 1


@pytest.mark.parametrize("content", ["Hello", "What is the capital of France? And of Peru?"])
async def test_statistics_and_metrics_tell_the_same_however_requests_end(upstream, content):
    upstream.script("small", failure(400), failure(400), Answer(doubtful("perhaps", -3.0)))
    models = ("openai:small", "openai:large")
    options = {"auto_route": True, "fallback": True, "env": upstream.env}
    async with composed_node(*models, **options) as node, client_of(node) as client:
        await ask(client, *[content] * 4, HARD, "What is 2+2?")
        told, shown = await routing(client), await metrics(client)

    assert told["total_requests"] == 6
    for name, shares in (
        ("routing_decisions_total", told["routing_distribution"]),
        ("subtasks_total", told["subtasks"]["distribution"]),
    ):
        for model, entry in shares.items():
            samples = shown[f"octomil:{name}"].samples.items()
            label = ("model_name", "tier0" if model == "tier0_deterministic" else model)
            assert sum(n for (_, labels), n in samples if label in labels) == entry["count"]
    assert shown["octomil:routing_latency_seconds"].value("_count") == told["total_requests"]
    escalated = shown["octomil:escalations_total"].value(model_name="small")
    assert escalated == told["escalations"]["from"]["small"] == 1
    assert shown["octomil:request_failure_total"].samples


async def test_speeds_are_seen_in_answers_in_one_piece_as_well(upstream):
    models = ("openai:small", "openai:large")
    options = {"auto_route": True, "env": upstream.env}
    async with composed_node(*models, **options) as node, client_of(node) as client:
        await ask(client, "Hello")
        one, unknown = await routing(client), await metrics(client)
        await ask(client, HARD)
        both, known = await routing(client), await metrics(client)

    names = [
        f"octomil:estimated_{n}" for n in ("compute_savings_ratio", "latency_reduction_seconds")
    ]
    assert one["estimated_savings"] is None
    assert [unknown[name].samples for name in names] == [{}, {}]
    ratio, latency_s = (known[name].value() for name in names)
    assert both["estimated_savings"] == {
        "vs_largest_model_only": f"{round(ratio * 100)}% fewer compute-seconds",
        "avg_latency_reduction_ms": round(latency_s * 1000),
    }


def test_exact_answers_and_passes_are_remembered_and_their_hits_told(echo_server):
    echo_server.chat("What is 7 * 191?")
    before = echo_server.get("/v1/routing/stats").json()["tier0_cache"]

    echo_server.chat("What is 7 * 191?")

    after = echo_server.get("/v1/routing/stats").json()["tier0_cache"]
    assert (after["hits"] - before["hits"], after["misses"] - before["misses"]) == (1, 0)


async def test_fresh_node_has_nothing_to_tell():
    async with composed_node(*ROUTED, auto_route=True) as node, client_of(node) as client:
        told = await routing(client)

    assert told["total_requests"] == 0
    assert {entry["percentage"] for entry in told["routing_distribution"].values()} == {0.0}
    assert told["estimated_savings"] is None


@pytest.mark.parametrize("refused", [{"model": "gpt-9"}, {"n": 0}, {"messages": []}])
async def test_refused_request_is_not_counted_as_routed(refused):
    async with composed_node(*ROUTED, auto_route=True) as node, client_of(node) as client:
        await ask(client, "Hello", **refused)
        told = await routing(client)

    assert told["total_requests"] == 0


async def test_queue_statistics_tell_of_each_model_and_of_all():
    async with composed_node(*ROUTED, auto_route=True, max_queue=7) as node, client_of(node) as c:
        before = (await c.get("/v1/queue/stats")).json()
        await ask(c, "Hello", "Hi", HARD, "What is 2+2?")
        after = (await c.get("/v1/queue/stats")).json()

    assert before == {
        "pending": 0,
        "active": 0,
        "completed": 0,
        "rejected": 0,
        "timed_out": 0,
        "max_depth": 7,
        "models": {},
    }
    assert (after["completed"], after["active"], after["pending"]) == (3, 0, 0)
    assert {name: entry["completed"] for name, entry in after["models"].items()} == {
        "small": 2,
        "large": 1,
    }
    assert after["models"]["small"] == {
        "pending": 0,
        "active": 0,
        "max_depth": 7,
        "max_concurrency": 64,
        "completed": 2,
        "rejected": 0,
        "timed_out": 0,
    }
