"""Posting messages: whom it may call is decided by the address, at the moment of the call."""

import asyncio
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest

from octomil.control.ports import WebhookUnreachableError
from octomil.control.webhook_sender import HttpWebhookSender
from support.certificates import certificate
from support.webhook_receiver import Receiver, receiving


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


async def test_a_message_is_posted_as_it_is(receiver: Receiver):
    sender = HttpWebhookSender(allow_private=True)

    status = await sender.send(receiver.url, {"webhook-id": "evt_1"}, b'{"a": 1}')

    (message,) = receiver.received
    assert (status, message.body, message.path) == (200, b'{"a": 1}', "/hook?a=b")
    assert message.headers["webhook-id"] == "evt_1"
    assert message.headers["host"] == receiver.url.split("/")[2]
    assert message.headers["user-agent"].startswith("octomil/")


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "2130706433", "0x7f.1", "127.1"])
async def test_a_name_of_this_machine_is_not_called_however_it_is_written(
    receiver: Receiver, host: str
):
    sender = HttpWebhookSender(allow_private=False)

    with pytest.raises(WebhookUnreachableError, match="may not be called") as refused:
        await sender.send(receiver.url.replace("127.0.0.1", host), {}, b"")

    assert receiver.received == []
    assert "127.0.0.1" not in str(refused.value).replace(host, "")  # names of inside stay unknown


async def test_a_redirect_is_not_followed(receiver: Receiver):
    receiver.statuses.append(307)

    assert await HttpWebhookSender(allow_private=True).send(receiver.url, {}, b"") == 307
    assert len(receiver.received) == 1


async def test_proxies_of_the_environment_are_not_asked(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
):
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")

    assert await HttpWebhookSender(allow_private=True).send(receiver.url, {}, b"") == 200


async def test_a_receiver_that_never_answers_is_given_up():
    async def swallow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(swallow, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server:
        sender = HttpWebhookSender(allow_private=True, timeout_s=0.2)
        with pytest.raises(WebhookUnreachableError, match=r"no answer within 0\.2 s"):
            await sender.send(f"http://127.0.0.1:{port}/", {}, b"")


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/", "http://nowhere.invalid/", "http://a..b/"])
async def test_what_cannot_be_reached_is_told(url: str):
    with pytest.raises(WebhookUnreachableError):
        await HttpWebhookSender(allow_private=True).send(url, {}, b"")


async def test_a_certificate_must_be_the_names_own(tmp_path: Path):
    """The address is called, but it is the name that must be proven."""
    pair = certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair)
    names: list[str | None] = []
    context.sni_callback = lambda _socket, name, _context: names.append(name)

    async def never(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    server = await asyncio.start_server(never, "127.0.0.1", 0, ssl=context)
    port = server.sockets[0].getsockname()[1]
    async with server:
        with pytest.raises(WebhookUnreachableError, match=r"(?i)certificate"):
            await HttpWebhookSender(allow_private=True).send(f"https://localhost:{port}/", {}, b"")

    assert names == ["localhost"]
