"""`POST /v1/chat/completions` for a message that asks for several things."""

import io
import json
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace

import httpx
import pytest

from octomil.engines.base import Capabilities
from octomil.engines.echo import EchoEngine
from octomil.serve.request_log import RequestLog
from support.caller import Caller
from support.nodes import chat, client_of, composed_node, node_of
from support.prometheus import read_metrics
from support.serving import ServeProcess, serving
from support.sse import read_events, read_stream
from support.upstream import (
    CUT,
    DONE,
    Answer,
    FakeUpstream,
    Gate,
    chunk,
    doubtful,
    event,
    failure,
    fake_upstream,
    usage_chunk,
    words,
)
from support.waiting import eventually

CHAT = "/v1/chat/completions"
LOOK = {"type": "function", "function": {"name": "look"}}

DOCUMENTED = (
    "Summarize the key points of attention mechanisms, then calculate 15% of 340, and translate "
    "hello world to French."
)
TWO = "What is the capital of France? Write a Python function that sorts a list of numbers."
"""A question for the small model, and a task for the large one."""
ALIKE = "What is the capital of France? What is the capital of Peru?"
"""Two questions for the small model."""
CHAIN = "Name a city in France, then translate it to German."

HEADERS = ("x-octomil-decomposed", "x-octomil-subtasks", "x-octomil-subtask-models")


@pytest.fixture(scope="module")
def running_upstream() -> Iterator[FakeUpstream]:
    with fake_upstream() as upstream:
        yield upstream


@pytest.fixture
def upstream(running_upstream: FakeUpstream) -> FakeUpstream:
    """The server behind the nodes here, well-behaved until a test says otherwise."""
    running_upstream.forget()
    return running_upstream


@pytest.fixture(scope="module")
def gateway(running_upstream: FakeUpstream) -> Iterator[ServeProcess]:
    """A node of its own process, for what only a real connection shows."""
    models = ("--models", "openai:small,openai:large", "--auto-route")
    with serving(*models, env=running_upstream.env) as served:
        yield served


@asynccontextmanager
async def routing_client(upstream: FakeUpstream, **options) -> AsyncIterator[httpx.AsyncClient]:
    """A client of a node that routes between two models of the upstream."""
    options = {"auto_route": True, "env": upstream.env, **options}
    async with (
        composed_node("openai:small", "openai:large", **options) as node,
        client_of(node) as client,
    ):
        yield client


def told(response: httpx.Response) -> tuple[str | None, ...]:
    return tuple(response.headers.get(name) for name in HEADERS)


def where(response: httpx.Response) -> tuple[str, str]:
    assert int(response.headers["X-Octomil-Routing-Latency-Us"]) >= 1
    return response.headers["X-Octomil-Routed-Model"], response.headers["X-Octomil-Routing-Tier"]


def said(response: httpx.Response) -> str:
    assert response.status_code == 200, response.text
    if response.headers["content-type"].startswith("text/event-stream"):
        return read_stream(response).text
    return response.json()["choices"][0]["message"]["content"]


def asked(upstream: FakeUpstream) -> list[str]:
    """The last message of every request that arrived, in order."""
    return [seen.body["messages"][-1]["content"] for seen in upstream.seen]


def writing(text: str, *pieces: bytes | Gate, model: str = "m") -> Answer:
    """A streamed answer that says `text` at once, then waits at gates or says more."""
    return Answer([event(chunk(text, model=model)), *pieces])


END = (event(chunk(finish="stop")), event(usage_chunk(3, 2)), DONE)


def test_documented_message_is_answered_in_three_parts(echo_server):
    response = echo_server.chat(DOCUMENTED)

    assert said(response) == (
        "Summarize the key points of attention mechanisms\n\n51.0\n\n"
        "translate hello world to French"
    )
    decomposed, count, models = told(response)
    assert (decomposed, count) == ("true", "3")
    assert models is not None
    first, second, third = models.split(",")
    assert second == "tier0"
    assert {first, third} <= {"small", "large"}


def test_answer_has_openai_s_form_and_adds_up_the_usage(echo_server):
    answer = echo_server.chat(ALIKE).json()

    assert isinstance(answer.pop("created"), int)
    assert answer.pop("id").startswith("chatcmpl-")
    text = "What is the capital of France?\n\nWhat is the capital of Peru?"
    assert answer == {
        "object": "chat.completion",
        "model": "small",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": text},
                "logprobs": None,
                "finish_reason": "stop",
            }
        ],
        "usage": {
            "prompt_tokens": 12,
            "completion_tokens": 12,
            "total_tokens": 24,
            "prompt_tokens_details": {"cached_tokens": 0},
        },
    }


@pytest.mark.parametrize("wants_usage", [False, True])
def test_stream_says_the_same_as_one_answer(echo_server, wants_usage):
    options = {"include_usage": wants_usage}

    response = echo_server.chat(DOCUMENTED, stream=True, stream_options=options)

    plain = echo_server.chat(DOCUMENTED)
    assert (told(response), where(response)) == (told(plain), where(plain))
    stream = read_stream(response)
    assert (stream.text, stream.finish_reasons, stream.dones) == (said(plain), ["stop"], 1)
    assert len({(e["id"], e["model"], e["object"]) for e in stream.events}) == 1
    choices = [choice for e in stream.events for choice in e["choices"]]
    assert [c["delta"].get("role") for c in choices].count("assistant") == 1
    assert choices[0]["delta"]["role"] == "assistant"
    assert stream.usages == ([plain.json()["usage"]] if wants_usage else [])
    assert "octomil" not in stream.events[-1]


@pytest.mark.parametrize("stream", [False, True])
def test_message_counts_for_its_highest_task(echo_server, stream):
    response = echo_server.chat(TWO, stream=stream)

    assert told(response) == ("true", "2", "small,large")
    assert where(response) == ("large", "3")


def test_tasks_may_all_do_without_a_model(echo_server):
    response = echo_server.chat("What is 2+2? What is 15% of 240?")

    assert said(response) == "4\n\n36.0"
    assert told(response) == ("true", "2", "tier0,tier0")
    assert where(response) == ("tier0", "0")
    assert response.json()["usage"]["total_tokens"] == 0


@pytest.mark.parametrize(
    "wish",
    [
        {"model": "small"},
        {"n": 2},
        {"tools": [LOOK]},
        {"response_format": {"type": "json_object"}},
        {"logprobs": True},
        {"stop": "\n\n"},
        {"functions": [LOOK["function"]]},
        {"max_tokens": 60},
    ],
)
def test_wishes_that_tasks_apart_cannot_meet_keep_the_message_whole(echo_server, wish):
    assert told(echo_server.chat(DOCUMENTED, **wish)) == (None, None, None)


def test_model_named_in_the_header_gets_the_whole_message(echo_server):
    response = echo_server.post(CHAT, chat(DOCUMENTED), headers={"X-Model": "small"})

    assert told(response) == (None, None, None)
    assert said(response) == DOCUMENTED


@pytest.mark.parametrize(
    ("prompt", "decomposed"),
    [("You are a helpful assistant.", "true"), ("Answer in French, as one JSON object.", None)],
)
def test_system_prompt_that_may_ask_for_a_form_keeps_the_message_whole(
    echo_server, prompt, decomposed
):
    messages = [{"role": "system", "content": prompt}, {"role": "user", "content": DOCUMENTED}]

    response = echo_server.post(CHAT, {"messages": messages})

    assert told(response)[0] == decomposed


def test_decomposition_can_be_switched_off():
    with serving("--models", "echo:small", "--auto-route", "--no-decompose") as served:
        response = served.chat(DOCUMENTED)

    assert (told(response)[0], said(response)) == (None, DOCUMENTED)


async def test_text_completion_is_never_taken_apart():
    async with composed_node("echo:small", auto_route=True) as node, client_of(node) as client:
        response = await client.post("/v1/completions", json={"prompt": DOCUMENTED})

    assert told(response)[0] is None
    assert response.json()["choices"][0]["text"] == DOCUMENTED


async def test_every_task_gets_what_was_said_before_and_the_client_s_wishes(upstream):
    earlier = [
        {"role": "system", "content": "You are a helpful assistant."},
        {"role": "user", "content": "Hello"},
        {"role": "assistant", "content": "Hi!"},
    ]
    body = {"temperature": 0.5, "seed": 7, "max_tokens": 70}
    async with routing_client(upstream) as client:
        messages = [*earlier, {"role": "user", "content": [{"type": "text", "text": ALIKE}]}]
        response = await client.post(CHAT, json={"messages": messages, **body})

    assert told(response) == ("true", "2", "small,small")
    for seen in upstream.seen:
        assert seen.body["messages"][:-1] == earlier
        assert {key: seen.body[key] for key in body} == {**body, "max_tokens": 35}
    assert sorted(asked(upstream)) == sorted(ALIKE.replace("? ", "?|").split("|"))


def test_independent_tasks_are_asked_at_once_and_answered_in_order(gateway, upstream):
    first, second = Gate(), Gate()
    upstream.script("small", Answer(words("one one"), hold=first))
    upstream.script("large", Answer(words("two two"), hold=second))
    with opened_at_the_end(first, second), ThreadPoolExecutor(1) as caller:
        response = caller.submit(gateway.chat, TWO, stream=True)
        first.await_waiting()
        second.await_waiting()
        second.open()
        eventually(lambda: gateway.get("/v1/queue/stats").json()["active"] == 1)
        first.open()

    assert said(response.result()) == "one one\n\ntwo two"


def test_first_task_streams_while_the_second_is_still_at_work(gateway, upstream):
    early, late = Gate(), Gate()
    upstream.script("small", writing("Paris", early, *END))
    upstream.script("large", writing("def", late, *END))
    with opened_at_the_end(early, late), stream_from(gateway, TWO) as response:
        chunks = response.iter_raw()
        begun = next(chunks)
        late.await_waiting()
        early.open()
        late.open()
        stream = read_events(begun + b"".join(chunks))

    assert [e["choices"][0]["delta"].get("content") for e in read_events(begun).events] == ["Paris"]
    assert (stream.text, stream.dones) == ("Paris\n\ndef", 1)


async def test_task_that_leans_on_another_is_given_its_answer(upstream):
    upstream.script("small", Answer(words("Lyon")), Answer(words("Lyon auf Deutsch")))
    async with routing_client(upstream) as client:
        response = await client.post(CHAT, json=chat(CHAIN))

    assert said(response) == "Lyon\n\nLyon auf Deutsch"
    assert told(response) == ("true", "2", "small,small")
    assert [seen.body["messages"] for seen in upstream.seen] == [
        [{"role": "user", "content": "Name a city in France"}],
        [
            {"role": "user", "content": "Name a city in France"},
            {"role": "assistant", "content": "Lyon"},
            {"role": "user", "content": "translate it to German"},
        ],
    ]
    assert response.json()["usage"] == {
        "prompt_tokens": 6,
        "completion_tokens": 4,
        "total_tokens": 10,
        "prompt_tokens_details": {"cached_tokens": 0},
    }


def test_task_that_leans_on_another_is_not_asked_before_that_has_answered(gateway, upstream):
    gate = Gate()
    upstream.script("small", writing("Lyon", gate, *END))
    with opened_at_the_end(gate), stream_from(gateway, CHAIN) as response:
        chunks = response.iter_raw()
        begun = next(chunks)
        gate.await_waiting()
        asked_early = asked(upstream)
        gate.open()
        stream = read_events(begun + b"".join(chunks))

    assert asked_early == ["Name a city in France"]
    assert stream.text == "Lyon\n\nthis is small"


@pytest.mark.parametrize(
    ("stream", "fault"),
    [
        (False, failure(500)),
        (True, failure(500)),
        (False, Answer([event(chunk("def")), CUT])),
    ],
)
async def test_task_whose_model_fails_is_given_to_the_next(upstream, stream, fault):
    upstream.script("large", fault)
    async with routing_client(upstream) as client:
        response = await client.post(CHAT, json=chat(TWO, stream=stream))

    assert said(response) == "this is small\n\nthis is small"
    assert told(response)[0] == "true"


def test_answer_that_breaks_off_before_its_turn_is_begun_anew_unseen(gateway, upstream):
    early = Gate()
    upstream.script("small", writing("Paris", early, *END), Answer(words("all of it")))
    upstream.script("large", Answer([event(chunk("half of")), CUT]))
    with opened_at_the_end(early), stream_from(gateway, TWO) as response:
        chunks = response.iter_raw()
        begun = next(chunks)
        eventually(lambda: len(upstream.seen) == 3)
        early.open()
        stream = read_events(begun + b"".join(chunks))

    assert stream.text == "Paris\n\nall of it"


async def test_model_that_failed_is_not_named_in_the_headers(upstream):
    upstream.always("large", failure(500))
    async with routing_client(upstream) as client:
        response = await client.post(CHAT, json=chat(TWO))

    assert told(response) == ("true", "2", "small,small")
    assert where(response) == ("small", "1")


def test_model_that_failed_after_the_headers_is_told_in_the_last_chunk(gateway, upstream):
    gate = Gate()
    upstream.script("large", Answer(failure(500).pieces, status=500, hold=gate))
    with opened_at_the_end(gate), stream_from(gateway, TWO) as response:
        chunks = response.iter_raw()
        begun = next(chunks)
        gate.open()
        stream = read_events(begun + b"".join(chunks))

    assert told(response)[2] == "small,large"
    assert stream.text == "this is small\n\nthis is small"
    assert stream.events[-1]["octomil"] == {"subtask_models": "small,small"}


@pytest.mark.parametrize("stream", [False, True])
async def test_task_that_no_model_can_answer_fails_the_message(upstream, stream):
    upstream.always("small", Answer(failure(500).pieces, status=500))
    upstream.always("large", Answer(failure(500).pieces, status=500))
    async with routing_client(upstream) as client:
        response = await client.post(CHAT, json=chat(TWO, stream=stream))
        statistics = (await client.get("/v1/routing/stats")).json()

    assert response.status_code == 502
    assert response.json()["error"]["code"] == "generation_failed"
    assert told(response)[:2] == ("true", "2")
    assert (statistics["total_requests"], statistics["subtasks"]["total"]) == (1, 2)


def test_failure_cancels_the_other_tasks(gateway, upstream):
    """The first task stays silent, so the failure of the second still has a status."""
    gate = Gate()
    upstream.script("small", Answer(hold=gate), failure(500))
    upstream.always("large", failure(500))
    with opened_at_the_end(gate):
        response = gateway.chat(TWO)
        gate.await_hang_up()

    assert response.status_code == 502


def test_failure_after_the_first_word_is_an_event_and_the_end(gateway, upstream):
    gate, trouble = Gate(), Gate()
    upstream.script("small", writing("Paris", gate), failure(500))
    upstream.script("large", Answer(failure(500).pieces, status=500, hold=trouble))
    with opened_at_the_end(gate, trouble), stream_from(gateway, TWO) as response:
        chunks = response.iter_raw()
        begun = next(chunks)
        trouble.open()
        stream = read_events(begun + b"".join(chunks))
        gate.await_hang_up()

    assert stream.text == "Paris"
    assert stream.events[-1]["error"]["code"] == "generation_failed"
    assert (stream.finish_reasons, stream.dones) == ([], 0)


@pytest.mark.parametrize("stream", [False, True])
def test_client_that_hangs_up_ends_every_task(gateway, upstream, stream):
    first, second = Gate(), Gate()
    upstream.script("small", Answer(hold=first))
    upstream.script("large", Answer(hold=second))
    before = gateway.get("/v1/routing/stats").json()["total_requests"]
    with opened_at_the_end(first, second):
        with Caller(gateway.url) as client:
            client.ask(chat(TWO, stream=stream))
            first.await_waiting()
            second.await_waiting()
        first.await_hang_up()
        second.await_hang_up()

    eventually(lambda: gateway.get("/v1/queue/stats").json()["active"] == 0)
    eventually(lambda: gateway.get("/v1/routing/stats").json()["total_requests"] == before + 1)
    assert gateway.chat("Hello").status_code == 200


@pytest.mark.parametrize("stream", [False, True])
async def test_unsure_task_is_given_to_the_next_model(upstream, stream):
    upstream.script("small", Answer(doubtful("perhaps", -3.0)))
    async with routing_client(upstream, fallback=True) as client:
        message = "Who wrote Hamlet? What is 2+2?"
        response = await client.post(CHAT, json=chat(message, stream=stream))

    assert said(response) == "this is large\n\n4"
    assert told(response) == ("true", "2", "large,tier0")
    assert where(response) == ("large", "3")
    assert response.headers["X-Octomil-Escalated-From"] == "small;task=1"


async def test_each_task_that_was_escalated_is_named(upstream):
    upstream.script("small", *[Answer(doubtful("perhaps", -3.0))] * 2)
    async with routing_client(upstream, fallback=True) as client:
        response = await client.post(CHAT, json=chat(f"What is 2+2? {ALIKE}"))
        stats = (await client.get("/v1/routing/stats")).json()

    assert told(response) == ("true", "3", "tier0,large,large")
    assert response.headers["X-Octomil-Escalated-From"] == "small;task=2,small;task=3"
    assert stats["escalations"] == {"total": 2, "from": {"small": 2}}


async def test_task_escalated_after_the_headers_is_told_in_the_last_chunk(upstream):
    upstream.script("small", Answer(doubtful("perhaps", -3.0)))
    async with routing_client(upstream, fallback=True) as client:
        message = "What is 2+2? Who wrote Hamlet?"
        response = await client.post(CHAT, json=chat(message, stream=True))

    assert told(response) == ("true", "2", "tier0,small")
    assert "X-Octomil-Escalated-From" not in response.headers
    assert read_stream(response).events[-1]["octomil"] == {
        "subtask_models": "tier0,large",
        "escalated_from": "small;task=2",
    }


@pytest.mark.parametrize("field", ["max_tokens", "max_completion_tokens"])
@pytest.mark.parametrize("stream", [False, True])
def test_limit_bounds_all_answers_together_in_equal_shares(echo_server, field, stream):
    options = {"stream_options": {"include_usage": True}} if stream else {}
    many = " ".join(f"w{number}" for number in range(40))
    query = f"Explain {many}. What is 2+2? Describe {many}."

    response = echo_server.chat(query, stream=stream, **{field: 65}, **options)

    first, exact, last = said(response).split("\n\n")
    assert exact == "4"
    assert (len(first.split()), len(last.split())) == (33, 32)
    assert first.endswith(" w31")
    if stream:
        assert read_stream(response).finish_reasons == ["length"]
        (usage,) = read_stream(response).usages
    else:
        assert response.json()["choices"][0]["finish_reason"] == "length"
        usage = response.json()["usage"]
    assert usage["completion_tokens"] == 65


@pytest.mark.parametrize("stream", [False, True])
async def test_tasks_without_words_leave_no_gap(upstream, stream):
    upstream.script("small", Answer(END), Answer(words("two")))
    async with routing_client(upstream) as client:
        response = await client.post(CHAT, json=chat(CHAIN, stream=stream))

    assert said(response) == "two"


@pytest.mark.parametrize("stream", [False, True])
async def test_nothing_said_is_still_an_answer(upstream, stream):
    upstream.always("small", Answer(END))
    async with routing_client(upstream) as client:
        response = await client.post(CHAT, json=chat(ALIKE, stream=stream))

    assert said(response) == ""
    if stream:
        assert read_stream(response).finish_reasons == ["stop"]


@pytest.mark.parametrize("nonsense", [b"nonsense", b'{"choices": 3}', b'{"choices": [[]]}'])
async def test_senseless_chunk_is_a_fault_of_the_model(upstream, nonsense):
    upstream.script("small", Answer([event(nonsense), *END]))
    async with routing_client(upstream) as client:
        response = await client.post(CHAT, json=chat(CHAIN))

    assert told(response) == ("true", "2", "large,small")


class OneAtATime(EchoEngine):
    """An echo with a single slot."""

    @property
    def capabilities(self) -> Capabilities:
        return replace(super().capabilities, max_concurrency=1)


async def test_tasks_of_one_message_do_not_crowd_a_queue_without_room():
    engines = {"only": OneAtATime("only")}
    async with node_of(engines, max_queue=0) as node, client_of(node) as client:
        response = await client.post(CHAT, json=chat(ALIKE))

    assert (response.status_code, told(response)[2]) == (200, "only,only")


async def test_answer_too_long_for_a_model_s_context_goes_on_with_the_next(upstream):
    error = {"message": "too long", "code": "context_length_exceeded"}
    full = Answer([json.dumps({"error": error}).encode()], status=400)
    upstream.script("small", Answer(words("Lyon")), full)
    async with routing_client(upstream) as client:
        response = await client.post(CHAT, json=chat(CHAIN))

    assert told(response) == ("true", "2", "small,large")


async def test_statistics_count_the_message_once_and_its_tasks_apart(upstream):
    async with routing_client(upstream) as client:
        for stream in (False, True):
            await client.post(CHAT, json=chat(f"{TWO} What is 2+2?", stream=stream))
        statistics = (await client.get("/v1/routing/stats")).json()
        metrics = read_metrics((await client.get("/metrics")).text)

    assert statistics["total_requests"] == 2
    counts = {n: e["count"] for n, e in statistics["routing_distribution"].items()}
    assert counts == {"tier0_deterministic": 0, "small": 0, "large": 2}
    assert statistics["subtasks"] == {
        "total": 6,
        "distribution": {
            "tier0_deterministic": {"count": 2, "percentage": 33.4},
            "small": {"count": 2, "percentage": 33.3},
            "large": {"count": 2, "percentage": 33.3},
        },
    }
    small, large = {"model_name": "small"}, {"model_name": "large"}
    subtasks = metrics["octomil:subtasks_total"]
    assert subtasks.value(model_name="tier0", tier="0") == 2
    assert subtasks.value(**small, tier="1") == subtasks.value(**large, tier="3") == 2
    decisions = metrics["octomil:routing_decisions_total"]
    assert (decisions.value(**large, tier="3"), decisions.value(**small, tier="1")) == (2, 0)
    success = metrics["octomil:request_success_total"]
    assert success.value(**large, finished_reason="stop") == 2
    assert success.value(**small, finished_reason="stop") == 0
    for name, each in (("prompt_tokens_total", 3), ("generation_tokens_total", 3)):
        assert metrics[f"octomil:{name}"].value(**small) == 2 * each
        assert metrics[f"octomil:{name}"].value(**large) == 2 * each
    latency = metrics["octomil:e2e_request_latency_seconds"]
    assert (latency.value("_count", **large), latency.value("_count", **small)) == (2, 0)
    first_token = metrics["octomil:time_to_first_token_seconds"]
    assert first_token.value("_count", **large) == 2
    waited = metrics["octomil:request_queue_time_seconds"]
    assert waited.value("_count", **small) == waited.value("_count", **large) == 2


async def test_log_line_names_who_did_each_task():
    out = io.StringIO()
    async with composed_node("echo:small", "echo:large", auto_route=True) as node:
        node.recorder.log = RequestLog(out)
        async with client_of(node) as client:
            await client.post(CHAT, json=chat(f"{TWO} What is 2+2?"))
        node.recorder.log.close()

    (line,) = out.getvalue().splitlines()
    assert line.startswith("[request] tier 3 large ")
    assert " stop tasks small,large,tier0 id " in line


@contextmanager
def opened_at_the_end(*gates: Gate) -> Iterator[None]:
    """Let everything pass the gates at last, also where the test fails."""
    try:
        yield
    finally:
        for gate in gates:
            gate.open()


@contextmanager
def stream_from(served: ServeProcess, query: str) -> Iterator[httpx.Response]:
    """A streamed answer that can be read while it is written."""
    with (
        httpx.Client(base_url=served.url, timeout=120) as client,
        client.stream("POST", CHAT, json=chat(query, stream=True)) as response,
    ):
        yield response
