"""`EventStream` as an ASGI application, without a server: what is sent, and when."""

import asyncio
import logging
from collections.abc import AsyncGenerator

import pytest
from starlette.types import Message, Scope

from octomil.control.api.event_streams import EventStream
from octomil.control.api.requests import REQUEST_ID
from octomil.errors import RateLimitedError, ServiceUnavailableError

SCOPE: Scope = {"type": "http", "method": "POST", "path": "/", "headers": [], REQUEST_ID: "r1"}
SOON_S = 0.01
NEVER_S = 1e6


class Client:
    """The other end of the line, which may hang up."""

    def __init__(self) -> None:
        self.sent: list[Message] = []
        self.changed = asyncio.Event()
        self.left = asyncio.Event()

    async def receive(self) -> Message:
        await self.left.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        self.sent.append(message)
        self.changed.set()

    async def until(self, count: int) -> None:
        """Return once so many messages were sent."""
        while len(self.sent) < count:
            self.changed.clear()
            await self.changed.wait()

    @property
    def body(self) -> bytes:
        return b"".join(message.get("body", b"") for message in self.sent)


class Stalled(Client):
    """A client that takes the headers, and then nothing."""

    async def send(self, message: Message) -> None:
        if self.sent:
            await asyncio.Event().wait()
        await super().send(message)


class Source:
    """Events that come when the test says so; knows whether it was closed."""

    def __init__(self) -> None:
        self.queue: asyncio.Queue[bytes | Exception | None] = asyncio.Queue()
        self.is_closed = False

    async def events(self) -> AsyncGenerator[bytes, None]:
        try:
            while (given := await self.queue.get()) is not None:
                if isinstance(given, Exception):
                    raise given
                yield given
        finally:
            self.is_closed = True


def begun(
    source: Source, client: Client, *, patience_s: float = NEVER_S, heartbeat_s: float = NEVER_S
) -> asyncio.Task[None]:
    stream = EventStream(source.events(), patience_s=patience_s, heartbeat_s=heartbeat_s)
    return asyncio.create_task(stream(SCOPE, client.receive, client.send))


async def test_the_headers_wait_for_the_first_event():
    source, client = Source(), Client()
    task = begun(source, client)
    for given in (b"1", b"2", None):
        source.queue.put_nowait(given)
    await task

    start, *rest = client.sent
    assert (start["type"], start["status"]) == ("http.response.start", 200)
    assert client.body == b"data: 1\n\ndata: 2\n\n"
    assert [message["more_body"] for message in rest] == [True, True, False]


async def test_the_headers_wait_no_longer_than_their_patience_and_comments_follow():
    source, client = Source(), Client()
    task = begun(source, client, patience_s=SOON_S, heartbeat_s=SOON_S)
    await client.until(3)
    source.queue.put_nowait(b"1")
    source.queue.put_nowait(None)
    await task

    assert client.sent[0]["status"] == 200
    blocks = client.body.removesuffix(b"\n\n").split(b"\n\n")
    assert set(blocks) == {b": still there", b"data: 1"}
    assert blocks[:2] == [b": still there"] * 2
    assert blocks.count(b"data: 1") == 1


async def test_an_error_before_the_headers_is_raised():
    source, client = Source(), Client()
    task = begun(source, client)
    source.queue.put_nowait(RateLimitedError("too many"))

    with pytest.raises(RateLimitedError):
        await task
    assert client.sent == []


async def test_an_error_after_the_headers_is_an_event():
    source, client = Source(), Client()
    task = begun(source, client)
    source.queue.put_nowait(b"1")
    source.queue.put_nowait(ServiceUnavailableError("gone", {"retry_after_s": 1}))
    await task

    assert client.body == (
        b'data: 1\n\nevent: error\ndata: {"error":"service_unavailable","message":"gone",'
        b'"status_code":503,"request_id":"r1","details":{"retry_after_s":1}}\n\n'
    )
    assert client.sent[-1]["more_body"] is False


async def test_a_fault_of_ours_is_logged_and_not_told(caplog: pytest.LogCaptureFixture):
    source, client = Source(), Client()
    task = begun(source, client)
    source.queue.put_nowait(b"1")
    source.queue.put_nowait(KeyError("a secret"))
    with caplog.at_level(logging.ERROR, "octomil.control"):
        await task

    assert b'"error":"internal_error"' in client.body
    assert b"a secret" not in client.body
    assert "a secret" in caplog.text


async def test_whoever_hangs_up_closes_the_source():
    source, client = Source(), Client()
    task = begun(source, client)
    source.queue.put_nowait(b"1")
    await client.until(2)
    client.left.set()
    await task

    assert source.is_closed


async def test_whoever_takes_nothing_is_given_up():
    source, client = Source(), Stalled()
    stream = EventStream(source.events(), patience_s=SOON_S, heartbeat_s=SOON_S, stalled_s=SOON_S)
    source.queue.put_nowait(b"1")

    await stream(SCOPE, client.receive, client.send)

    assert source.is_closed


async def test_no_events_at_all_are_an_empty_answer():
    source, client = Source(), Client()
    source.queue.put_nowait(None)
    await begun(source, client)

    assert client.sent[0]["status"] == 200
    assert client.body == b""


@pytest.mark.parametrize("turns", range(6))
async def test_a_refusal_as_patience_ends_has_its_status_or_is_an_event_and_never_both(turns: int):
    async def refused() -> AsyncGenerator[bytes, None]:
        for _ in range(turns):
            await asyncio.sleep(0)
        raise ServiceUnavailableError("all backends are down")
        yield b""

    client = Client()
    try:
        await EventStream(refused(), patience_s=0)(SCOPE, client.receive, client.send)
    except ServiceUnavailableError:
        assert client.sent == []
    else:
        assert b"event: error" in client.body
        assert client.sent[-1]["more_body"] is False
