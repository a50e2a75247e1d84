"""`/inference` over plain HTTP: whole answers, by a backend that is a real server."""

from pathlib import Path
from typing import Any

import httpx
import pytest

from octomil.control.plane import ControlPlane
from support.backends import EchoBackend
from support.caller import Caller
from support.control import bearer, client_of, control_plane, key_of
from support.inference import INFERENCE, asked, user
from support.serving import ServeProcess
from support.upstream import Answer, FakeUpstream, Gate, chunk, event, failure, words


def ask(served: ServeProcess, key: str, body: dict[str, Any]) -> httpx.Response:
    return served.post(INFERENCE, body, headers=bearer(key))


def test_a_conversation_is_answered(served: ServeProcess, key: str, upstream: FakeUpstream):
    upstream.script("phi-4-mini", Answer(words("downhill in small steps")))
    body = {
        "model_id": "phi-4-mini",
        "messages": user("Explain gradient descent"),
        "parameters": {"temperature": 0.7, "max_tokens": 256},
    }

    answer = ask(served, key, body)

    assert answer.status_code == 200, answer.text
    told = answer.json()
    assert told.pop("latency_ms") > 0
    assert told.pop("session_id").startswith("ses_")
    assert told == {
        "output": "downhill in small steps",
        "provider": "openai",
        "model_id": "phi-4-mini",
        "usage": {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7},
        "finish_reason": "stop",
    }
    (seen,) = upstream.requests("phi-4-mini")
    assert seen.headers["authorization"] == "Bearer upstream-key"
    assert seen.body == {
        "model": "phi-4-mini",
        "messages": user("Explain gradient descent"),
        "temperature": 0.7,
        "max_tokens": 256,
        "stream": True,
        "stream_options": {"include_usage": True},
    }


PARAMETERS = {
    "temperature": 2,
    "max_tokens": 1,
    "top_p": 1.0,
    "top_k": 40,
    "min_p": 0.05,
    "stop": ["\n", "end"],
    "seed": -7,
    "frequency_penalty": -2,
    "presence_penalty": 2.0,
}


def test_every_parameter_reaches_the_backend(
    served: ServeProcess, key: str, upstream: FakeUpstream
):
    answer = ask(served, key, asked("hello", parameters=PARAMETERS))

    assert answer.status_code == 200, answer.text
    (seen,) = upstream.requests("m")
    assert {name: seen.body.get(name) for name in PARAMETERS} == PARAMETERS


@pytest.mark.parametrize("input_data", ["hello", user("hello")], ids=["text", "messages"])
def test_input_data_is_the_same_in_other_words(
    served: ServeProcess, key: str, upstream: FakeUpstream, input_data: Any
):
    answer = ask(served, key, {"model_id": "m", "input_data": input_data})

    assert answer.json()["output"] == "this is m"
    (seen,) = upstream.requests("m")
    assert seen.body["messages"] == user("hello")


HELLO = user("hello")
WRONG: list[tuple[dict[str, Any], str, str]] = [
    ({"messages": None}, "messages", "either `messages` or `input_data`"),
    ({"input_data": "x"}, "messages", "either `messages` or `input_data`"),
    ({"messages": []}, "messages", "at least 1"),
    ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]},
     "messages.0.content", "string"),
    ({"messages": [{"role": "wizard", "content": "x"}]}, "messages.0.role", "'user'"),
    ({"messages": [{"role": "user"}]}, "messages.0.content", "required"),
    ({"model_id": ""}, "model_id", "at least 1"),
    ({"parameters": {"temprature": 1}}, "parameters.temprature", "did you mean 'temperature'?"),
    ({"parameters": {"qqq": 1}}, "parameters.qqq", "only temperature, max_tokens"),
    ({"parameters": {"temperature": 2.1}}, "parameters.temperature", "less than or equal to 2"),
    ({"parameters": {"temperature": "1"}}, "parameters.temperature", "number"),
    ({"parameters": {"max_tokens": 0}}, "parameters.max_tokens", "greater than or equal to 1"),
    ({"parameters": {"max_tokens": True}}, "parameters.max_tokens", "integer"),
    ({"parameters": {"top_p": 0}}, "parameters.top_p", "greater than 0"),
    ({"parameters": {"frequency_penalty": -3}}, "parameters.frequency_penalty", "-2"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "field", "problem"), WRONG)
def test_what_makes_no_sense_is_refused_by_name(
    served: ServeProcess, key: str, upstream: FakeUpstream, change: dict[str, Any], field: str,
    problem: str,
):  # fmt: skip
    answer = ask(served, key, asked("hello") | change)

    assert answer.status_code == 422, answer.text
    told = answer.json()["details"]["fields"][0]
    assert told["field"] == field
    assert problem in told["problem"]
    assert upstream.seen == []


def test_five_stops_are_too_many(served: ServeProcess, key: str):
    answer = ask(served, key, asked("hello", parameters={"stop": list("abcde")}))

    fields = {each["field"] for each in answer.json()["details"]["fields"]}
    assert answer.status_code == 422
    assert any(field.startswith("parameters.stop") for field in fields)


def test_a_client_that_hangs_up_stops_the_generation(
    served: ServeProcess, key: str, upstream: FakeUpstream
):
    gate = Gate()
    upstream.script("m", Answer([event(chunk("one")), gate]))
    with Caller(served.url) as caller:
        caller.ask(asked("hello"), path=INFERENCE, headers=bearer(key))
        gate.await_waiting()

    gate.await_hang_up()


def test_a_client_that_hangs_up_before_the_first_token_stops_it_too(
    served: ServeProcess, key: str, upstream: FakeUpstream
):
    gate = Gate()
    upstream.script("m", Answer(words("x"), hold=gate))
    with Caller(served.url) as caller:
        caller.ask(asked("hello"), path=INFERENCE, headers=bearer(key))
        gate.await_waiting()

    gate.await_hang_up()


def test_a_backend_s_refusal_of_the_request_is_passed_on(
    served: ServeProcess, key: str, upstream: FakeUpstream
):
    upstream.script("m", failure(400, "the seed is no good"))

    answer = ask(served, key, asked("hello"))

    assert answer.status_code == 400
    assert "the seed is no good" in answer.json()["message"]


async def test_no_backend_has_the_model(tmp_path: Path):
    backends = [EchoBackend("one", models=["a"]), EchoBackend("two", models=["b"])]
    with control_plane(tmp_path, backends=backends) as plane:
        async with client_of(plane, key_of(plane)) as client:
            answer = await client.post(INFERENCE, json=asked("hello"))
            there = await client.post(INFERENCE, json=asked("hello") | {"model_id": "b"})

    assert answer.status_code == 404
    assert "no backend has the model 'm' (one: " in answer.json()["message"]
    assert there.json()["provider"] == "two"


async def test_without_backends_it_says_what_to_set(tmp_path: Path):
    with control_plane(tmp_path, backends=()) as plane:
        async with client_of(plane, key_of(plane)) as client:
            answer = await client.post(INFERENCE, json=asked("hello"))

    assert answer.status_code == 503
    assert "OLLAMA_BASE_URL" in answer.json()["message"]
    assert answer.headers["retry-after"] == "1"


async def test_it_needs_the_scope(plane: ControlPlane):
    async with client_of(plane, key_of(plane, "default", "models:read")) as client:
        answer = await client.post(INFERENCE, json=asked("hello"))

    assert answer.status_code == 403
