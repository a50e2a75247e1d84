"""`/inference/batch` over plain HTTP: results in order, failures told apart, so many at once."""

import threading
from typing import Any

import httpx
import pytest

from octomil.control.plane import ControlPlane
from octomil.control.services.rate_limits import Limits
from support.caller import Caller
from support.control import bearer, client_of, control_plane, key_of
from support.inference import BATCH, asked, user
from support.serving import ServeProcess
from support.upstream import Answer, FakeUpstream, Gate, chunk, event, failure, words


def inputs(*texts: str) -> list[dict[str, Any]]:
    return [{"messages": user(text)} for text in texts]


def asked_batch(*texts: str, **more: Any) -> dict[str, Any]:
    return {"model_id": "m", "inputs": inputs(*texts), **more}


def batched(served: ServeProcess, key: str, body: dict[str, Any]) -> httpx.Response:
    return served.post(BATCH, body, headers=bearer(key))


async def test_results_are_in_the_order_of_the_inputs(admin: httpx.AsyncClient):
    answer = await admin.post(
        BATCH, json=asked_batch("Hello", "Goodbye", "So long", max_concurrency=4)
    )

    assert answer.status_code == 200, answer.text
    told = answer.json()
    assert told.pop("latency_ms") > 0
    results = told.pop("results")
    assert told == {"model_id": "m", "succeeded": 3, "failed": 0}
    assert [each["output"] for each in results] == ["Hello", "Goodbye", "So long"]
    assert [each["index"] for each in results] == [0, 1, 2]
    assert {each["provider"] for each in results} == {"echo"}
    assert [each["usage"]["completion_tokens"] for each in results] == [1, 1, 2]
    assert [each["error"] for each in results] == [None] * 3


def test_failures_are_told_apart(served: ServeProcess, key: str, upstream: FakeUpstream):
    upstream.script(
        "m", Answer(words("one")), failure(400, "too long"), failure(503, "busy"),
        Answer([event(chunk("half"))]), Answer(words("five")),
    )  # fmt: skip

    answer = batched(served, key, asked_batch(*"12345", max_concurrency=1))

    told = answer.json()
    assert answer.status_code == 200
    assert (told["succeeded"], told["failed"]) == (2, 3)
    assert [each["output"] for each in told["results"]] == ["one", None, None, None, "five"]
    problems = [each["error"] for each in told["results"][1:4]]
    assert [each["error"] for each in problems] == [
        "bad_request", "service_unavailable", "service_unavailable",
    ]  # fmt: skip
    assert [each["status_code"] for each in problems] == [400, 503, 503]
    assert "too long" in problems[0]["message"]
    assert [each["provider"] for each in told["results"]] == ["openai", None, None, None, "openai"]


def test_no_more_are_worked_on_at_once_than_was_asked(
    served: ServeProcess, key: str, upstream: FakeUpstream
):
    gate = Gate()
    upstream.always("m", Answer(words("done"), hold=gate))
    found: list[httpx.Response] = []
    body = asked_batch(*"12345", max_concurrency=2)
    asking = threading.Thread(target=lambda: found.append(batched(served, key, body)))
    asking.start()

    gate.await_waiting(2)
    under_way = len(upstream.seen)
    gate.open()
    asking.join()

    assert under_way == 2
    assert [each["output"] for each in found[0].json()["results"]] == ["done"] * 5


def test_a_client_that_hangs_up_stops_all_of_them(
    served: ServeProcess, key: str, upstream: FakeUpstream
):
    gate = Gate()
    upstream.always("m", Answer([event(chunk("one")), gate]))
    with Caller(served.url) as caller:
        caller.ask(asked_batch(*"12345", max_concurrency=3), path=BATCH, headers=bearer(key))
        gate.await_waiting(3)

    gate.await_hang_up(3)
    assert len(upstream.seen) == 3


async def test_parameters_of_an_input_go_before_those_of_all(admin: httpx.AsyncClient):
    own = {"messages": user("one two three"), "parameters": {"max_tokens": 2}}
    body = {**asked_batch("one two three"), "parameters": {"max_tokens": 1}}
    body["inputs"].append(own)

    answer = await admin.post(BATCH, json=body)

    assert [each["output"] for each in answer.json()["results"]] == ["one", "one two"]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"inputs": []}, "inputs"),
        ({"inputs": inputs(*"x" * 257)}, "inputs"),
        ({"inputs": [*inputs("x"), {}]}, "inputs.1.messages"),
        ({"inputs": [{"messages": user("x"), "input_data": "x"}]}, "inputs.0.messages"),
        ({"max_concurrency": 0}, "max_concurrency"),
        ({"max_concurrency": 33}, "max_concurrency"),
        ({"parameters": {"nonsense": 1}}, "parameters.nonsense"),
    ],
)
async def test_what_makes_no_sense_is_refused_as_a_whole(
    admin: httpx.AsyncClient, change: dict[str, Any], field: str
):
    answer = await admin.post(BATCH, json=asked_batch("x") | change)

    assert answer.status_code == 422
    assert answer.json()["details"]["fields"][0]["field"] == field


async def test_an_organisation_has_so_many_answers_in_the_making(
    tmp_path_factory: pytest.TempPathFactory,
):
    with control_plane(tmp_path_factory.mktemp("slots"), limits=Limits(generations=2)) as plane:
        async with client_of(plane, key_of(plane)) as client:
            fewer = await client.post(BATCH, json=asked_batch(*"123", max_concurrency=3))
            with plane.inference.slots.taken("default", 2):
                refused = await client.post(BATCH, json=asked_batch("1"))
                one = await client.post("/api/v1/inference", json=asked("hello"))
                streamed = await client.post("/api/v1/inference/stream", json=asked("hello"))
            other = await _of_another(plane)

    assert fewer.json()["succeeded"] == 3
    for each in (refused, one, streamed):
        assert (each.status_code, each.json()["error"]) == (429, "rate_limited")
        assert each.headers["retry-after"] == "1"
    assert other.status_code == 200


async def _of_another(plane: ControlPlane) -> httpx.Response:
    with plane.inference.slots.taken("default", 2):
        async with client_of(plane, key_of(plane, "globex")) as stranger:
            return await stranger.post("/api/v1/inference", json=asked("hello"))
