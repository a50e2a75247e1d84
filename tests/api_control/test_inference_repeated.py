"""Requests for inference with an idempotency key: asked of a backend once, answered alike."""

import threading
from typing import Any

import httpx
import pytest

from octomil.control.api.idempotency import HEADER, REPEATED
from octomil.control.services.idempotency import MAX_KEPT_BYTES
from support.caller import Caller
from support.control import bearer
from support.inference import BATCH, EMBEDDINGS, INFERENCE, STREAM, asked, user
from support.serving import ServeProcess
from support.upstream import Answer, FakeUpstream, Gate, failure, words

BODIES: dict[str, dict[str, Any]] = {
    INFERENCE: asked("hello"),
    BATCH: {"model_id": "m", "inputs": [{"messages": user("hello")}]},
    EMBEDDINGS: {"model_id": "m", "input": "hello"},
}


def ask(
    served: ServeProcess, key: str, name: str, path: str = INFERENCE, **more: Any
) -> httpx.Response:
    headers = {**bearer(key), HEADER: name}
    return served.post(path, BODIES.get(path, asked("hello")) | more, headers=headers)


@pytest.mark.parametrize("path", BODIES)
def test_a_repetition_is_answered_alike_and_not_asked_again(
    served: ServeProcess, key: str, upstream: FakeUpstream, path: str
):
    first, again = (ask(served, key, f"once {path}".replace(" ", "-"), path) for _ in range(2))

    assert (first.status_code, again.status_code) == (200, 200)
    assert first.content == again.content
    assert (first.headers.get(REPEATED), again.headers.get(REPEATED)) == (None, "true")
    assert len(upstream.requests("m")) == 1


def test_one_that_comes_meanwhile_waits_for_the_first(
    served: ServeProcess, key: str, upstream: FakeUpstream
):
    gate = Gate()
    upstream.always("m", Answer(words("done"), hold=gate))
    found: list[httpx.Response] = []
    asking = [
        threading.Thread(target=lambda: found.append(ask(served, key, "meanwhile")))
        for _ in range(3)
    ]
    for each in asking:
        each.start()

    gate.await_waiting()
    gate.open()
    for each in asking:
        each.join()

    assert len({each.content for each in found}) == 1
    assert len(upstream.requests("m")) == 1


def test_what_nobody_waited_for_is_asked_again(
    served: ServeProcess, key: str, upstream: FakeUpstream
):
    gate = Gate()
    upstream.script("m", Answer(words("lost"), hold=gate), Answer(words("found")))
    with Caller(served.url) as caller:
        headers = {**bearer(key), HEADER: "left"}
        caller.ask(asked("hello"), path=INFERENCE, headers=headers)
        gate.await_waiting()
    gate.await_hang_up()

    assert ask(served, key, "left").json()["output"] == "found"


def test_a_refusal_for_now_is_not_kept_and_a_final_one_is(
    served: ServeProcess, key: str, upstream: FakeUpstream
):
    upstream.script("m", failure(503, "busy"), Answer(words("later")), failure(400, "too long"))

    busy, later = ask(served, key, "busy"), ask(served, key, "busy")
    final = [ask(served, key, "final") for _ in range(2)]

    assert (busy.status_code, later.json()["output"]) == (503, "later")
    assert [each.status_code for each in final] == [400, 400]
    assert final[1].headers[REPEATED] == "true"
    assert len(upstream.requests("m")) == 3


def test_an_answer_too_large_to_be_kept_is_asked_for_again(
    served: ServeProcess, key: str, upstream: FakeUpstream
):
    long = "x" * MAX_KEPT_BYTES
    upstream.script("m", Answer(words(long)), Answer(words("found")))

    lost, found, kept = (ask(served, key, "long") for _ in range(3))

    assert (lost.status_code, len(lost.content) > MAX_KEPT_BYTES) == (200, True)
    assert (found.status_code, found.json()["output"]) == (200, "found")
    assert (kept.content, kept.headers.get(REPEATED)) == (found.content, "true")


def test_another_request_under_the_same_key_is_refused(
    served: ServeProcess, key: str, upstream: FakeUpstream
):
    ask(served, key, "taken")

    other = ask(served, key, "taken", messages=user("goodbye"))

    assert (other.status_code, other.json()["error"]) == (422, "idempotency_key_reused")


def test_a_stream_heeds_no_key(served: ServeProcess, key: str, upstream: FakeUpstream):
    first, again = (ask(served, key, "stream", STREAM) for _ in range(2))

    assert (first.status_code, again.status_code) == (200, 200)
    assert REPEATED not in again.headers
    assert len(upstream.requests("m")) == 2
