"""`POST /v1/chat/completions`."""

import base64
import json
from dataclasses import replace

import httpx
import jsonschema
import pytest

from octomil.engines.base import Capabilities
from octomil.engines.echo import EchoEngine
from support.nodes import chat, client_of, composed_node, node_of
from support.sse import read_stream
from support.upstream import Answer, fake_upstream

HARD = (
    "Explain the tradeoffs between FedAvg and FedProx for non-IID data distributions across "
    "heterogeneous edge devices."
)
SCHEMA = {
    "type": "object",
    "properties": {
        "city": {"type": "string"},
        "size": {"type": "integer"},
        "kind": {"enum": ["port", "town"]},
        "tags": {"type": "array", "items": {"type": "string"}, "minItems": 2},
    },
    "required": ["city", "size", "kind", "tags"],
}
LOOK = {"type": "function", "function": {"name": "look", "parameters": SCHEMA}}
LATE = {"type": "function", "function": {"name": "late"}}


def where(response) -> tuple[str, str]:
    """What the headers say about who answered."""
    assert int(response.headers["X-Octomil-Routing-Latency-Us"]) >= 1
    return response.headers["X-Octomil-Routed-Model"], response.headers["X-Octomil-Routing-Tier"]


def message(response) -> dict:
    assert response.status_code == 200, response.text
    return response.json()["choices"][0]["message"]


def test_answer_has_openai_s_form(echo_server):
    response = echo_server.chat("Hello sea")

    assert response.headers["content-type"] == "application/json"
    answer = response.json()
    assert isinstance(answer.pop("created"), int)
    assert answer.pop("id").startswith("chatcmpl-")
    assert answer == {
        "object": "chat.completion",
        "model": "small",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "Hello sea"},
                "logprobs": None,
                "finish_reason": "stop",
            }
        ],
        "usage": {
            "prompt_tokens": 2,
            "completion_tokens": 2,
            "total_tokens": 4,
            "prompt_tokens_details": {"cached_tokens": 0},
        },
    }


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("query", "model", "tier"), [("Hello sea", "small", "1"), (HARD, "large", "3")]
)
def test_headers_say_which_model_the_router_chose(echo_server, query, model, tier, stream):
    response = echo_server.chat(query, stream=stream)

    assert where(response) == (model, tier)
    said = read_stream(response).text if stream else message(response)["content"]
    assert said == query


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(("model", "tier"), [("small", "1"), ("large", "3")])
def test_model_named_in_the_body_answers_itself(echo_server, model, tier, stream):
    response = echo_server.chat("What is 2+2?", model=model, stream=stream)

    assert where(response) == (model, tier)
    said = read_stream(response).text if stream else message(response)["content"]
    assert said == "What is 2+2?"


@pytest.mark.parametrize("named", ["auto", "small", "nobody"])
def test_model_named_in_the_header_wins_over_the_body(echo_server, named):
    response = echo_server.post(
        "/v1/chat/completions", chat("Hello", model=named), headers={"X-Model": "large"}
    )

    assert where(response) == ("large", "3")


def test_header_can_ask_for_the_router_too(echo_server):
    response = echo_server.post(
        "/v1/chat/completions", chat("Hello", model="large"), headers={"X-Model": "auto"}
    )

    assert where(response) == ("small", "1")


def test_empty_header_asks_for_nothing(echo_server):
    response = echo_server.post(
        "/v1/chat/completions", chat("Hello", model="large"), headers={"X-Model": ""}
    )

    assert where(response) == ("large", "3")


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("body", "headers"), [({"model": "gpt-9"}, {}), ({"model": "small"}, {"X-Model": "gpt-9"})]
)
def test_unknown_model_is_a_404_that_names_the_served_ones(echo_server, body, headers, stream):
    response = echo_server.post(
        "/v1/chat/completions", chat("Hello", stream=stream, **body), headers=headers
    )

    assert response.status_code == 404
    error = response.json()["error"]
    assert error.pop("message").startswith("no model 'gpt-9' is served here; served: auto, small, ")
    assert error == {"type": "invalid_request_error", "param": "model", "code": "model_not_found"}
    assert "X-Octomil-Routed-Model" not in response.headers


def test_request_that_names_no_model_is_routed(echo_server):
    body = {"messages": [{"role": "user", "content": "Hello"}]}

    assert where(echo_server.post("/v1/chat/completions", body)) == ("small", "1")


def test_stream_says_the_same_as_the_plain_answer_and_ends_once(echo_server):
    response = echo_server.chat("to be or not to be", stream=True)

    assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert response.headers["cache-control"] == "no-cache"
    stream = read_stream(response)
    assert (stream.text, stream.finish_reasons, stream.dones) == ("to be or not to be", ["stop"], 1)
    assert {e["object"] for e in stream.events} == {"chat.completion.chunk"}
    assert len({e["id"] for e in stream.events}) == 1
    assert stream.events[0]["choices"][0]["delta"]["role"] == "assistant"


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (None, False),
        ({}, False),
        ({"include_usage": False}, False),
        ({"include_usage": None}, False),
        ({"include_usage": True}, True),
    ],
)
@pytest.mark.parametrize("query", ["Hello sea", "What is 2+2?"])
def test_stream_tells_its_usage_only_if_asked_and_last(echo_server, query, options, told):
    stream = read_stream(echo_server.chat(query, stream=True, stream_options=options))

    assert len(stream.usages) == told
    assert not told or (stream.events[-1]["choices"], stream.events[-1]["usage"]) == (
        [],
        stream.usages[0],
    )


@pytest.mark.parametrize(
    ("query", "answer"),
    [
        ("What is 2+2?", "4"),
        ("What is 15% of 240?", "36.0"),
        ("Convert 72°F to Celsius", "22.22°C"),
    ],
)
def test_exact_questions_are_answered_without_a_model(echo_server, query, answer):
    plain = echo_server.chat(query)
    streamed = echo_server.chat(query, stream=True, stream_options={"include_usage": True})

    assert where(plain) == where(streamed) == ("tier0", "0")
    assert message(plain) == {"role": "assistant", "content": answer}
    nothing = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}
    assert plain.json()["usage"] == nothing
    assert plain.json()["model"] == "tier0"
    stream = read_stream(streamed)
    assert (stream.text, stream.finish_reasons, stream.dones) == (answer, ["stop"], 1)
    assert stream.usages == [nothing]


@pytest.mark.parametrize(
    "wish",
    [
        {"n": 2},
        {"tools": [LOOK]},
        {"response_format": {"type": "json_object"}},
        {"logprobs": True},
        {"stop": "."},
        {"functions": [LOOK["function"]], "function_call": "auto"},
    ],
)
def test_wishes_that_need_a_model_get_one_even_for_arithmetic(echo_server, wish):
    assert where(echo_server.chat("What is 2+2?", **wish))[0] != "tier0"


@pytest.mark.parametrize(
    "no_wish",
    [
        {"n": 1},
        {"tools": []},
        {"tools": [LOOK], "tool_choice": "none"},
        {"response_format": {"type": "text"}},
        {"logprobs": False},
        {"stop": []},
    ],
)
def test_wishes_for_nothing_leave_arithmetic_to_tier_zero(echo_server, no_wish):
    assert where(echo_server.chat("What is 2+2?", **no_wish)) == ("tier0", "0")


def test_system_prompt_may_bend_the_answer_so_a_model_gives_it(echo_server):
    messages = [
        {"role": "system", "content": "Answer in French."},
        {"role": "user", "content": "What is 2+2?"},
    ]

    response = echo_server.post("/v1/chat/completions", {"messages": messages})

    assert where(response)[0] == "small"


@pytest.mark.parametrize("stream", [False, True])
def test_n_answers_come_with_their_numbers(echo_server, stream):
    response = echo_server.chat("one two three", n=3, stream=stream)

    if stream:
        events = read_stream(response).events
        numbers = {choice["index"] for event in events for choice in event["choices"]}
    else:
        numbers = {choice["index"] for choice in response.json()["choices"]}
        assert response.json()["usage"]["completion_tokens"] == 9
    assert numbers == {0, 1, 2}


@pytest.mark.parametrize("stop", ["three", ["four", "three"]])
def test_stop_ends_the_answer_before_the_word(echo_server, stop):
    response = echo_server.chat("one two three four", stop=stop)

    assert message(response)["content"] == "one two"


@pytest.mark.parametrize("field", ["max_tokens", "max_completion_tokens"])
def test_limit_cuts_the_answer_and_says_so(echo_server, field):
    plain = echo_server.chat("one two three", **{field: 2})
    stream = read_stream(echo_server.chat("one two three", stream=True, **{field: 2}))

    assert message(plain)["content"] == stream.text == "one two"
    assert plain.json()["choices"][0]["finish_reason"] == "length"
    assert stream.finish_reasons == ["length"]


def test_seed_makes_the_answer_repeatable(echo_server):
    words = " ".join(f"word{i}" for i in range(40))

    told = [
        message(echo_server.chat(words, temperature=1, seed=seed))["content"] for seed in (7, 7, 8)
    ]

    assert told[0] == told[1] != told[2]


@pytest.mark.parametrize("stream", [False, True])
def test_answer_keeps_to_a_schema(echo_server, stream):
    wanted = {"type": "json_schema", "json_schema": {"name": "place", "schema": SCHEMA}}

    response = echo_server.chat("Where?", response_format=wanted, stream=stream)

    said = read_stream(response).text if stream else message(response)["content"]
    jsonschema.validate(json.loads(said), SCHEMA)


def test_json_object_is_one(echo_server):
    response = echo_server.chat("Where?", response_format={"type": "json_object"})

    assert json.loads(message(response)["content"]) == {}


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("choice", "name"),
    [("required", "look"), ({"type": "function", "function": {"name": "late"}}, "late")],
)
def test_tool_that_must_be_called_is_called(echo_server, choice, name, stream):
    response = echo_server.chat("Where?", tools=[LOOK, LATE], tool_choice=choice, stream=stream)

    if stream:
        told = read_stream(response)
        (call,) = told.events[0]["choices"][0]["delta"]["tool_calls"]
        assert told.finish_reasons == ["tool_calls"]
    else:
        (call,) = message(response)["tool_calls"]
        assert message(response)["content"] is None
        assert response.json()["choices"][0]["finish_reason"] == "tool_calls"
    assert (call["type"], call["function"]["name"]) == ("function", name)
    if name == "look":
        jsonschema.validate(json.loads(call["function"]["arguments"]), SCHEMA)


@pytest.mark.parametrize("stream", [False, True])
def test_log_probabilities_come_for_every_token(echo_server, stream):
    response = echo_server.chat("one two", logprobs=True, top_logprobs=3, stream=stream)

    if stream:
        told = [c.get("logprobs") for e in read_stream(response).events for c in e["choices"]]
        entries = [entry for found in told if found for entry in found["content"]]
    else:
        entries = response.json()["choices"][0]["logprobs"]["content"]
    assert [entry["token"] for entry in entries] == ["one", " two"]
    assert all(entry["logprob"] <= 0 for entry in entries)


def test_text_parts_are_read_as_text(echo_server):
    parts = [{"type": "text", "text": "one"}, {"type": "text", "text": "two"}]

    assert message(echo_server.chat(parts))["content"] == "one two"


def test_prompt_beyond_the_context_is_the_client_s_fault(echo_server):
    response = echo_server.chat("word " * 9000, model="small")

    assert response.status_code == 400
    error = response.json()["error"]
    assert (error["code"], error["param"]) == ("context_length_exceeded", "messages")
    assert "9000 tokens, more than the context of 8192" in error["message"]


def test_answers_on_one_connection_do_not_mix(echo_server):
    with httpx.Client(base_url=echo_server.url, timeout=120) as client:
        bodies = [chat(f"no {i}", stream=bool(i % 2)) for i in range(6)]
        answers = [client.post("/v1/chat/completions", json=body) for body in bodies]

    texts = [
        read_stream(answer).text if i % 2 else message(answer)["content"]
        for i, answer in enumerate(answers)
    ]
    assert texts == [f"no {i}" for i in range(6)]


async def test_without_auto_routing_auto_means_the_first_model_and_no_tier_zero():
    async with composed_node("echo:first", "echo:second") as node, client_of(node) as client:
        response = await client.post("/v1/chat/completions", json=chat("What is 2+2?"))

    assert where(response) == ("first", "1")
    assert message(response)["content"] == "What is 2+2?"


class Limited(EchoEngine):
    """An echo that can do less."""

    def __init__(self, name: str, **limits: bool) -> None:
        super().__init__(name)
        self._limits = limits

    @property
    def capabilities(self) -> Capabilities:
        return replace(super().capabilities, **self._limits)


WISHES = {
    "tools": {"tools": [LOOK]},
    "logprobs": {"logprobs": True},
    "structured_output": {"response_format": {"type": "json_object"}},
}


@pytest.mark.parametrize("need", WISHES)
async def test_router_passes_over_a_model_that_cannot(need):
    engines = {"small": Limited("small", **{need: False}), "large": EchoEngine("large")}
    async with node_of(engines) as node, client_of(node) as client:
        response = await client.post("/v1/chat/completions", json=chat("Hello", **WISHES[need]))

    assert where(response) == ("large", "3")


@pytest.mark.parametrize("need", WISHES)
async def test_named_model_that_cannot_is_a_400_that_names_one_that_can(need):
    engines = {"small": Limited("small", **{need: False}), "large": EchoEngine("large")}
    async with node_of(engines) as node, client_of(node) as client:
        body = chat("Hello", model="small", **WISHES[need])
        response = await client.post("/v1/chat/completions", json=body)

    assert response.status_code == 400
    error = response.json()["error"]
    assert error["param"] == next(iter(WISHES[need]))
    assert error["message"].startswith("model 'small' cannot do ")
    assert error["message"].endswith("; ask large")


@pytest.mark.parametrize("need", WISHES)
@pytest.mark.parametrize("model", ["auto", "small"])
async def test_wish_no_model_can_meet_is_a_400_that_says_so(need, model):
    engines = {name: Limited(name, **{need: False}) for name in ("small", "large")}
    async with node_of(engines) as node, client_of(node) as client:
        body = chat("Hello", model=model, **WISHES[need])
        response = await client.post("/v1/chat/completions", json=body)

    assert response.status_code == 400
    assert response.json()["error"]["param"] == next(iter(WISHES[need]))
    assert "no served model can" in response.json()["error"]["message"]


async def test_long_prompt_goes_to_the_model_whose_context_holds_it():
    engines = {
        "small": EchoEngine("small", context_tokens=50),
        "large": EchoEngine("large", context_tokens=5000),
    }
    async with node_of(engines) as node, client_of(node) as client:
        short = await client.post("/v1/chat/completions", json=chat("hello"))
        long = await client.post("/v1/chat/completions", json=chat("hello " * 300))

    assert (where(short)[0], where(long)[0]) == ("small", "large")


async def test_prompt_too_long_for_the_model_it_went_to_goes_on_to_the_next():
    error = {"message": "too long", "code": "context_length_exceeded"}
    with fake_upstream() as upstream:
        upstream.always("small", Answer([json.dumps({"error": error}).encode()], status=400))
        options = {"auto_route": True, "env": upstream.env}
        async with (
            composed_node("openai:small", "openai:large", **options) as node,
            client_of(node) as client,
        ):
            routed = await client.post("/v1/chat/completions", json=chat("Hello"))
            named = await client.post("/v1/chat/completions", json=chat("Hello", model="small"))

    assert where(routed) == ("large", "3")
    assert (named.status_code, named.json()["error"]["code"]) == (400, "context_length_exceeded")


async def test_images_reach_a_model_that_may_read_them():
    url = "data:image/png;base64," + base64.b64encode(b"png").decode()
    parts = [{"type": "text", "text": "What?"}, {"type": "image_url", "image_url": {"url": url}}]
    with fake_upstream() as upstream:
        options = {"auto_route": True, "env": upstream.env}
        async with (
            composed_node("echo:small", "openai:large", **options) as node,
            client_of(node) as client,
        ):
            response = await client.post("/v1/chat/completions", json=chat(parts))

        assert where(response) == ("large", "3")
        assert upstream.requests("large")[0].body["messages"][0]["content"] == parts
