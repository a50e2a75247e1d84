"""`POST /v1/completions`."""

import pytest

from octomil.engines.base import Capabilities
from octomil.engines.echo import EchoEngine
from support.nodes import client_of, node_of
from support.sse import read_stream

FABLE = "Once upon a time"


def complete(served, prompt=FABLE, **body):
    return served.post("/v1/completions", {"model": "small", "prompt": prompt, **body})


def text(response) -> str:
    assert response.status_code == 200, response.text
    return response.json()["choices"][0]["text"]


def test_answer_has_openai_s_form(echo_server):
    answer = complete(echo_server).json()

    assert isinstance(answer.pop("created"), int)
    assert answer.pop("id").startswith("cmpl-")
    assert answer == {
        "object": "text_completion",
        "model": "small",
        "choices": [{"index": 0, "text": FABLE, "logprobs": None, "finish_reason": "stop"}],
        "usage": {
            "prompt_tokens": 4,
            "completion_tokens": 4,
            "total_tokens": 8,
            "prompt_tokens_details": {"cached_tokens": 0},
        },
    }


@pytest.mark.parametrize("stream", [False, True])
def test_headers_say_where_it_went(echo_server, stream):
    headers = complete(echo_server, "Who wrote Hamlet?", model="auto", stream=stream).headers

    assert (headers["X-Octomil-Routed-Model"], headers["X-Octomil-Routing-Tier"]) == ("small", "1")
    assert int(headers["X-Octomil-Routing-Latency-Us"]) >= 1


def test_model_named_in_the_header_wins_over_the_body(echo_server):
    response = echo_server.post(
        "/v1/completions", {"prompt": "x", "model": "small"}, headers={"X-Model": "large"}
    )

    assert response.headers["X-Octomil-Routed-Model"] == "large"


def test_exact_questions_are_text_like_any_other_here(echo_server):
    response = complete(echo_server, "What is 2+2?", model="auto")

    assert (text(response), response.headers["X-Octomil-Routing-Tier"]) == ("What is 2+2?", "1")


@pytest.mark.parametrize("asked", [True, False])
def test_stream_says_the_same_and_ends_once(echo_server, asked):
    options = {"include_usage": asked}

    stream = read_stream(complete(echo_server, stream=True, stream_options=options))

    assert (stream.text, stream.finish_reasons, stream.dones) == (FABLE, ["stop"], 1)
    assert {event["object"] for event in stream.events} == {"text_completion"}
    assert len(stream.usages) == asked


def test_limit_stop_and_n_are_honoured(echo_server):
    assert text(complete(echo_server, max_tokens=2)) == "Once upon"
    assert complete(echo_server, max_tokens=2).json()["choices"][0]["finish_reason"] == "length"
    assert text(complete(echo_server, stop=["a"])) == "Once upon"
    assert [c["index"] for c in complete(echo_server, n=2).json()["choices"]] == [0, 1]


def test_each_of_several_prompts_has_its_answers(echo_server):
    choices = complete(echo_server, ["one two", "three"], n=2).json()["choices"]

    assert [choice["text"] for choice in choices] == ["one two", "one two", "three", "three"]
    assert [choice["index"] for choice in choices] == [0, 1, 2, 3]


def test_log_probabilities_come_in_the_older_form(echo_server):
    told = complete(echo_server, "one two", logprobs=1).json()["choices"][0]["logprobs"]

    assert told["tokens"] == ["one", " two"]
    assert len(told["token_logprobs"]) == 2


def test_unknown_model_is_a_404(echo_server):
    response = complete(echo_server, model="gpt-9")

    assert response.status_code == 404
    assert response.json()["error"]["code"] == "model_not_found"


async def test_model_that_only_chats_is_a_400_that_names_another():
    class ChatOnly(EchoEngine):
        @property
        def capabilities(self) -> Capabilities:
            return Capabilities(completions=False)

    engines = {"small": ChatOnly("small"), "large": EchoEngine("large")}
    async with node_of(engines) as node, client_of(node) as client:
        named = await client.post("/v1/completions", json={"model": "small", "prompt": "x"})
        routed = await client.post("/v1/completions", json={"prompt": "x"})

    assert named.status_code == 400
    assert named.json()["error"]["message"] == (
        "model 'small' cannot do text completion; ask large"
    )
    assert routed.headers["X-Octomil-Routed-Model"] == "large"
