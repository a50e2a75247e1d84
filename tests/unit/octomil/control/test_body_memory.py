import asyncio
import json
from collections.abc import Sequence
from typing import Any

import pytest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from octomil.control.api.bodies import BodyLimits
from octomil.control.body_memory import BodyMemory, NoMemoryLeftError, NoShareLeftError
from support.waiting import PATIENCE_S


def test_what_there_is_no_room_for_is_not_counted():
    memory = BodyMemory(100, 100)

    with memory.share("a") as hold, memory.share("b") as hold_too:
        hold(60)
        hold_too(40)
        with pytest.raises(NoMemoryLeftError):
            hold(1)
        assert memory.held_bytes == 100

    assert memory.held_bytes == 0


def test_one_client_has_no_more_than_its_share_and_leaves_the_rest_to_others():
    memory = BodyMemory(100, 40)

    with memory.share("a") as hold, memory.share("a") as hold_too, memory.share("b") as others:
        hold(30)
        with pytest.raises(NoShareLeftError):
            hold_too(11)
        hold_too(10)
        others(40)
        assert memory.held_bytes == 80

    assert memory.held_bytes == 0


def test_an_error_gives_everything_back():
    memory = BodyMemory(100, 100)

    def fail() -> None:
        with memory.share("a") as hold:
            hold(60)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert memory.held_bytes == 0


def piece(size: int, *, more: bool) -> Message:
    return {"type": "http.request", "body": b"x" * size, "more_body": more}


class _Client:
    """A client that sends these messages, and then nothing for as long as it takes."""

    def __init__(self, *messages: Message) -> None:
        self._messages = list(messages)
        self.is_waited_for = asyncio.Event()
        self.answers: list[Message] = []

    async def receive(self) -> Message:
        if self._messages:
            return self._messages.pop(0)
        self.is_waited_for.set()
        await asyncio.Event().wait()
        raise AssertionError

    async def send(self, message: Message) -> None:
        self.answers.append(message)

    @property
    def unread(self) -> Sequence[Message]:
        return self._messages

    def start(self, app: ASGIApp, host: str = "192.0.2.1") -> "asyncio.Task[None]":
        scope = {
            "type": "http", "method": "POST", "path": "/", "headers": [(b"content-length", b"200")],
            "client": (host, 50000),
        }  # fmt: skip
        call = app(scope, self.receive, self.send)
        return asyncio.create_task(call)  # type: ignore[arg-type]  # an ASGI app is a coroutine


async def answer(scope: Scope, receive: Receive, send: Send) -> None:
    body = (await receive())["body"]
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": str(len(body)).encode()})


def limited(memory: BodyMemory, app: ASGIApp = answer, **options: Any) -> BodyLimits:
    return BodyLimits(app, memory, **{"timeout_s": PATIENCE_S} | options)


async def test_bodies_that_arrive_count_together_and_one_more_is_refused_unread():
    memory = BodyMemory(100, 100)
    app = limited(memory)
    slow = _Client(piece(90, more=True))
    arriving = slow.start(app)
    await slow.is_waited_for.wait()
    refused = _Client(piece(20, more=True), piece(20, more=True))

    await refused.start(app)

    start, body = refused.answers
    headers = dict(start["headers"])
    assert start["status"] == 503
    assert (headers[b"retry-after"], headers[b"connection"]) == (b"1", b"close")
    assert json.loads(body["body"])["error"] == "service_unavailable"
    assert len(refused.unread) == 1
    assert memory.held_bytes == 90
    arriving.cancel()
    await asyncio.wait([arriving])
    again = _Client(piece(100, more=False))
    await again.start(app)
    assert again.answers[1]["body"] == b"100"


async def test_an_address_that_holds_its_share_keeps_no_other_out():
    app = limited(BodyMemory(100, 60))
    slow = _Client(piece(60, more=True))
    arriving = slow.start(app, "2001:db8::1")
    await slow.is_waited_for.wait()
    same, other, late = (_Client(piece(size, more=False)) for size in (1, 40, 41))

    await same.start(app, "2001:db8::2")
    await other.start(app, "2001:db8:0:1::1")
    await late.start(app, "2001:db8:0:2::1")

    assert [each.answers[0]["status"] for each in (same, other, late)] == [503, 200, 503]
    of_its_own, of_all = (json.loads(each.answers[1]["body"])["message"] for each in (same, late))
    assert of_its_own.startswith("the bodies of your address's other requests take all")
    assert "--trusted-proxy" in of_its_own
    assert of_all.startswith("the bodies of other requests take all")
    assert "--trusted-proxy" not in of_all
    arriving.cancel()
    await asyncio.wait([arriving])


@pytest.mark.parametrize(
    "messages",
    [
        [piece(50, more=True), piece(40, more=False)],
        [piece(50, more=True), {"type": "http.disconnect"}],
        [piece(50, more=True), piece(60, more=True)],
        [piece(50, more=True), piece(31, more=True), piece(20, more=True)],
    ],
    ids=["answered", "hung up", "no room", "too large"],
)
async def test_however_a_request_ends_its_bytes_are_given_back(messages: list[Message]):
    memory = BodyMemory(100, 100)

    await _Client(*messages).start(limited(memory, max_bytes=200))

    assert memory.held_bytes == 0


async def test_a_body_that_does_not_arrive_in_time_is_given_back():
    memory = BodyMemory(100, 100)
    client = _Client(piece(50, more=True))

    await client.start(limited(memory, timeout_s=0.0))

    assert client.answers[0]["status"] == 408
    assert memory.held_bytes == 0


async def test_a_body_counts_until_it_was_answered_even_by_an_error():
    memory, seen = BodyMemory(100, 100), []

    async def fail(_scope: Scope, _receive: Receive, _send: Send) -> None:
        seen.append(memory.held_bytes)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await _Client(piece(50, more=False)).start(limited(memory, fail))

    assert (seen, memory.held_bytes) == ([50], 0)
