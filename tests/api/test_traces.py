"""A client's trace goes on to whoever answers for the node, and nobody else's does."""

import asyncio
import json

import pytest

from epochly.inference.context import TraceContext
from epochly.inference.privacy.audit import verify_audit_log
from support.nodes import chat, client_of, composed_node
from support.upstream import Answer, Gate, fake_upstream

CHAT, COMPLETIONS, EMBEDDINGS = "/v1/chat/completions", "/v1/completions", "/v1/embeddings"
TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
PARENT = f"00-{TRACE}-{SPAN}-01"
TRACED = {"traceparent": PARENT, "tracestate": "acme=1,other=2"}
TWO = "What is the capital of France? What is the capital of Peru?"


@pytest.fixture
def upstream():
    with fake_upstream() as upstream:
        yield upstream


def trace_of(seen) -> TraceContext | None:
    return TraceContext.from_headers(seen.headers)


@pytest.mark.parametrize(
    ("provider", "path", "body"),
    [
        ("openai", CHAT, chat("Hello")),
        ("openai", CHAT, chat("Hello", stream=True)),
        ("openai", COMPLETIONS, {"model": "small", "prompt": "Once"}),
        ("openai", EMBEDDINGS, {"model": "small", "input": "x"}),
        ("ollama", CHAT, chat("Hello")),
        ("ollama", CHAT, chat("Hello", stream=True)),
    ],
)
async def test_upstream_is_told_a_place_of_its_own_in_the_trace(upstream, provider, path, body):
    async with (
        composed_node(f"{provider}:small", env=upstream.env) as node,
        client_of(node) as client,
    ):
        await client.post(path, json=body, headers=TRACED)

    (seen,) = [request for request in upstream.seen if request.path == path]
    trace = trace_of(seen)
    assert (trace.trace_id, trace.flags, trace.state) == (TRACE, 1, TRACED["tracestate"])
    assert trace.span_id != SPAN


@pytest.mark.parametrize("sent", [{}, {"X-Request-Id": "r-1"}, {"traceparent": "nonsense"}])
async def test_without_a_trace_none_is_begun(upstream, sent):
    async with composed_node("openai:small", env=upstream.env) as node, client_of(node) as client:
        await client.post(CHAT, json=chat("Hello"), headers=TRACED)
        await client.post(CHAT, json=chat("Hello"), headers={**sent, "tracestate": "acme=1"})

    first, second = upstream.requests("small")
    assert trace_of(first) is not None
    assert not {"traceparent", "tracestate"} & second.headers.keys()


async def test_requests_at_once_keep_their_traces_apart(upstream):
    gate = Gate()
    upstream.always("small", Answer(hold=gate))
    ids = [f"{number:032x}" for number in range(1, 9)]
    async with composed_node("openai:small", env=upstream.env) as node, client_of(node) as client:

        async def ask(trace_id: str) -> None:
            headers = {"traceparent": f"00-{trace_id}-{SPAN}-00"}
            await client.post(CHAT, json=chat(trace_id), headers=headers)

        asking = asyncio.gather(*map(ask, ids))
        await asyncio.to_thread(gate.await_waiting, len(ids))
        gate.open()
        await asking

    told = {seen.body["messages"][0]["content"]: trace_of(seen).trace_id for seen in upstream.seen}
    assert told == {trace_id: trace_id for trace_id in ids}


async def test_tasks_of_one_message_share_its_trace(upstream):
    async with (
        composed_node("openai:small", "openai:large", auto_route=True, env=upstream.env) as node,
        client_of(node) as client,
    ):
        response = await client.post(CHAT, json=chat(TWO), headers=TRACED)

    assert response.headers["X-Octomil-Subtasks"] == "2"
    assert [trace_of(seen).trace_id for seen in upstream.seen] == [TRACE, TRACE]
    assert len({trace_of(seen).span_id for seen in upstream.seen}) == 1


async def test_model_that_a_request_loads_is_not_loaded_in_its_trace(upstream):
    upstream.script("nomic", Answer([b'{"capabilities": ["embedding"], "model_info": {}}']))
    async with (
        composed_node("openai:small", embedder="ollama:nomic", env=upstream.env) as node,
        client_of(node) as client,
    ):
        await client.post(EMBEDDINGS, json={"model": "nomic", "input": "x"}, headers=TRACED)

    told = {seen.path: trace_of(seen) for seen in upstream.seen}
    assert told["/api/show"] is None
    assert told["/v1/embeddings"].trace_id == TRACE


async def test_audit_log_names_the_node_s_place_in_the_trace(upstream, tmp_path):
    async with (
        composed_node("openai:small", audit_log=tmp_path, env=upstream.env) as node,
        client_of(node) as client,
    ):
        await client.post(CHAT, json=chat("Hello"), headers=TRACED)
        await client.post(CHAT, json=chat("Hello"))

    assert verify_audit_log(tmp_path).ok
    lines = "".join(path.read_text() for path in tmp_path.glob("*.jsonl")).splitlines()
    entries = [json.loads(line)["entry"] for line in lines]
    traced, plain = [entry["details"] for entry in entries if entry["operation"] == "request"]
    assert traced["trace_id"] == TRACE
    assert traced["span_id"] == trace_of(upstream.seen[0]).span_id
    assert not {"trace_id", "span_id"} & plain.keys()
