"""`/inference/stream` over plain HTTP: token by token, from a backend that is a real server."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from octomil.control.backends.openai import OpenAIBackend
from octomil.engines.upstream import open_upstream
from support.caller import Caller
from support.control import bearer, client_of, control_plane, key_of
from support.inference import STREAM, asked, events_of
from support.serving import ServeProcess
from support.upstream import (
    CUT,
    Answer,
    FakeUpstream,
    Gate,
    chunk,
    event,
    failure,
    usage_chunk,
    words,
)
from support.waiting import PATIENCE_S


def streamed(served: ServeProcess, key: str, body: dict[str, Any]) -> httpx.Response:
    return served.post(STREAM, body, headers=bearer(key))


class Reader:
    """A stream while it comes, cut into what stands between two empty lines."""

    def __init__(self, response: httpx.Response) -> None:
        self._chunks: Iterator[bytes] = response.iter_raw()
        self._rest = b""

    def next(self) -> bytes:
        while b"\n\n" not in self._rest:
            self._rest += next(self._chunks)
        found, _, self._rest = self._rest.partition(b"\n\n")
        return found


def test_an_answer_comes_token_by_token(served: ServeProcess, key: str, upstream: FakeUpstream):
    gate = Gate()
    pieces = [event(chunk("Cherry")), gate, event(chunk(" blossoms")), event(chunk(finish="stop"))]
    upstream.script("phi-4-mini", Answer([*pieces, event(usage_chunk(3, 2))]))
    body = asked("Write a haiku") | {"model_id": "phi-4-mini"}
    with (
        httpx.Client(timeout=PATIENCE_S, headers=bearer(key)) as client,
        client.stream("POST", served.url + STREAM, json=body) as response,
    ):
        reader = Reader(response)
        first = reader.next()
        gate.open()  # so the first came before the second was made
        rest = [reader.next(), reader.next()]

    assert response.status_code == 200
    assert response.headers["content-type"].startswith("text/event-stream")
    assert response.headers["cache-control"] == "no-store"
    assert response.headers["x-accel-buffering"] == "no"
    told = events_of(b"\n\n".join([first, *rest]))
    sessions = {each.pop("session_id") for each in told}
    times = [each.pop("latency_ms") for each in told]
    assert len(sessions) == 1
    assert times == sorted(times)
    assert times[0] > 0
    assert told == [
        {"token": "Cherry", "done": False, "provider": "openai"},
        {"token": " blossoms", "done": False, "provider": "openai"},
        {
            "token": "",
            "done": True,
            "provider": "openai",
            "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5},
            "finish_reason": "stop",
        },
    ]


def test_exactly_one_event_is_done_and_it_is_the_last(
    served: ServeProcess, key: str, upstream: FakeUpstream
):
    upstream.script("m", Answer(words("one two three")))

    told = events_of(streamed(served, key, asked("hello")).content)

    assert [each["done"] for each in told] == [False, False, False, True]
    assert "".join(each["token"] for each in told) == "one two three"


def test_while_nothing_comes_a_comment_says_that_it_is_there(
    served: ServeProcess, key: str, upstream: FakeUpstream
):
    gate = Gate()
    upstream.script("m", Answer(words("at last"), hold=gate))
    with (
        httpx.Client(timeout=PATIENCE_S, headers=bearer(key)) as client,
        client.stream("POST", served.url + STREAM, json=asked("hello")) as response,
    ):
        reader = Reader(response)
        first = reader.next()
        gate.open()
        token = reader.next()

    assert first.startswith(b":")
    assert events_of(token + b"\n\n")[0]["token"] == "at"


@pytest.mark.usefixtures("patient_streams")
async def test_an_error_before_the_first_token_has_its_status(
    tmp_path: Path, openai_server: FakeUpstream
):
    openai_server.forget()
    openai_server.script("m", failure(503, "all slots taken"), failure(400, "too long"))
    backend = OpenAIBackend(open_upstream(f"{openai_server.url}/v1"))
    with control_plane(tmp_path, backends=[backend]) as plane:
        async with client_of(plane, key_of(plane)) as client:
            busy = await client.post(STREAM, json=asked("hello"))
            wrong = await client.post(STREAM, json=asked("hello"))
            nonsense = await client.post(STREAM, json={"model_id": "m"})
        await plane.inference.close()

    assert busy.status_code == 503
    assert "all slots taken" in busy.json()["message"]
    assert busy.headers["retry-after"] == "1"
    assert (wrong.status_code, wrong.json()["message"]) == (400, "too long")
    assert nonsense.status_code == 422


@pytest.mark.parametrize(
    "ending",
    [[CUT], [b"garbage\n\ndata: {]\n\n"], [], [event({"error": {"message": "out of memory"}})]],
    ids=["cut", "garbage", "early end", "error"],
)
def test_an_error_after_the_headers_is_an_event_and_nothing_is_done(
    served: ServeProcess, key: str, upstream: FakeUpstream, ending: list[Any]
):
    upstream.script("m", Answer([event(chunk("half")), *ending]))

    answer = streamed(served, key, asked("hello"))

    *tokens, error = answer.content.removesuffix(b"\n\n").split(b"\n\n")
    assert answer.status_code == 200
    assert [each["token"] for each in events_of(b"\n\n".join(tokens))] == ["half"]
    assert error.startswith(b"event: error\ndata: ")
    (told,) = events_of(error)
    assert (told["error"], told["status_code"]) == ("service_unavailable", 503)
    assert "'openai' failed while it answered" in told["message"]
    assert told["request_id"] == answer.headers["x-request-id"]
    assert b'"done":true' not in answer.content


def test_a_client_that_hangs_up_stops_the_generation(
    served: ServeProcess, key: str, upstream: FakeUpstream
):
    gate = Gate()
    upstream.script("m", Answer([event(chunk("one")), gate]))
    with Caller(served.url) as caller:
        caller.ask(asked("hello"), path=STREAM, headers=bearer(key))
        assert caller.response().status == 200
        gate.await_waiting()

    gate.await_hang_up()


def test_a_client_that_hangs_up_before_the_first_token_stops_it_too(
    served: ServeProcess, key: str, upstream: FakeUpstream
):
    gate = Gate()
    upstream.script("m", Answer(words("x"), hold=gate))
    with Caller(served.url) as caller:
        caller.ask(asked("hello"), path=STREAM, headers=bearer(key))
        gate.await_waiting()

    gate.await_hang_up()
