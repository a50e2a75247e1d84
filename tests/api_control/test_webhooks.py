"""`/webhooks` over HTTP, and what a real receiver is told."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from octomil.control.jobs.catalog import drop_leftovers
from octomil.control.jobs.webhooks import deliver
from octomil.control.plane import ControlPlane
from octomil.control.services.deliveries import TO_EACH
from octomil.control.webhook_sender import HttpWebhookSender
from octomil.registry.messages import verify
from support.control import API, WallClock, client_of, control_plane, key_of
from support.versions import made_model, published_version
from support.waiting import PATIENCE_S
from support.webhook_receiver import Receiver, receiving

SECRET = "a-secret-of-the-test"
EVERYTHING = ["model.created", "version.published", "version.deprecated", "alias.moved"]


@pytest.fixture
def plane(tmp_path: Path, clock: WallClock) -> Iterator[ControlPlane]:
    """One that may call this machine."""
    with control_plane(tmp_path, clock, webhooks_private=True) as plane:
        yield plane


@pytest.fixture
async def stranger(plane: ControlPlane) -> AsyncIterator[httpx.AsyncClient]:
    """A client with a key of another organisation."""
    async with client_of(plane, key_of(plane, "globex")) as client:
        yield client


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


async def listening(client: httpx.AsyncClient, receiver: Receiver, *events: str) -> str:
    body = {"url": receiver.url, "secret": SECRET, "events": list(events) or EVERYTHING}
    answer = await client.post(f"{API}/webhooks", json=body)
    assert answer.status_code == 201, answer.text
    return answer.json()["id"]


async def deliveries(client: httpx.AsyncClient, webhook: str, **query) -> list[dict]:
    answer = await client.get(f"{API}/webhooks/{webhook}/deliveries", params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()["deliveries"]


async def test_a_webhook_is_made_shown_without_its_secret_and_removed(admin: httpx.AsyncClient):
    made = await admin.post(f"{API}/webhooks", json={"url": "https://example.com/hook"})
    webhook = made.json()

    path = f"{API}/webhooks/{webhook['id']}"
    assert made.status_code == 201
    assert webhook.pop("secret").startswith("whsec_")
    assert webhook["events"] == EVERYTHING
    assert (await admin.get(path)).json() == webhook
    assert (await admin.get(f"{API}/webhooks")).json() == {"webhooks": [webhook]}
    assert (await admin.delete(path)).json() == {"id": webhook["id"], "deleted": True}
    assert (await admin.get(path)).status_code == 404
    assert (await admin.delete(path)).status_code == 404
    assert (await admin.get(f"{API}/webhooks")).json() == {"webhooks": []}


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"url": "ftp://example.com"}, "url"),
        ({"url": "example.com"}, "url"),
        ({"url": "https://"}, "url"),
        ({"url": "https://a:b@example.com/"}, "url"),
        ({"url": "https://[x/"}, "url"),
        ({"url": "https://example.com:99999/"}, "url"),
        ({"events": []}, "events"),
        ({"events": ["model.eaten"]}, "events"),
        ({"secret": "short"}, "secret"),
        ({"secret": "whsec_" + "!" * 30}, "secret"),
    ],
)
async def test_what_makes_no_sense_is_named(admin: httpx.AsyncClient, change: dict, field: str):
    answer = await admin.post(f"{API}/webhooks", json={"url": "https://example.com"} | change)

    assert (answer.status_code, answer.json()["error"]) == (400, "bad_request")
    assert answer.json()["message"].startswith(field)


async def test_a_receiver_is_told_in_order_and_can_prove_who_told(
    admin: httpx.AsyncClient, plane: ControlPlane, receiver: Receiver, clock: WallClock
):
    webhook = await listening(admin, receiver)
    model = await made_model(admin)
    published = await published_version(admin, plane, model)
    await admin.put(f"{API}/models/{model}/aliases/production", json={"version": "1.0.0"})
    await admin.post(f"{API}/models/{model}/versions/1.0.0/deprecate", json={})

    await deliver(plane)

    assert receiver.events() == [
        ("model.created", None),
        ("version.published", "1.0.0"),
        ("alias.moved", "1.0.0"),
        ("version.deprecated", "1.0.0"),
    ]
    message = receiver.received[1]
    event = message.event
    now_s = clock().timestamp()
    assert verify(SECRET, message.headers, message.body, now_s=now_s) == event["id"]
    assert message.path == "/hook?a=b"
    assert event == {
        "id": event["id"],
        "type": "version.published",
        "org_id": "default",
        "occurred_at": "2026-11-21T12:00:00+00:00",
        "data": {
            "model": "mnist",
            "model_id": model,
            "version": "1.0.0",
            "digest": published["digest"],
        },
    }
    told = await deliveries(admin, webhook)
    assert [each["state"] for each in told] == ["delivered"] * 4
    assert [each["event_type"] for each in told][-1] == "model.created"
    assert {each["status"] for each in told} == {200}


async def test_only_what_was_asked_for_is_told_and_to_its_organisation_alone(
    admin: httpx.AsyncClient,
    stranger: httpx.AsyncClient,
    plane: ControlPlane,
    receiver: Receiver,
):
    await listening(admin, receiver, "version.published")
    await listening(stranger, receiver, "model.created")
    model = await made_model(admin)
    await published_version(admin, plane, model)

    await deliver(plane)

    assert receiver.events() == [("version.published", "1.0.0")]


async def test_what_is_refused_is_told_again_later_with_the_same_id(
    admin: httpx.AsyncClient, plane: ControlPlane, receiver: Receiver, clock: WallClock
):
    webhook = await listening(admin, receiver)
    receiver.statuses.extend([500, 302])
    model = await made_model(admin)
    await published_version(admin, plane, model)

    await deliver(plane)
    await deliver(plane)  # too early
    (first, second) = (await deliveries(admin, webhook, state="pending"))[::-1]
    clock.advance(seconds=6)
    await deliver(plane)
    clock.advance(seconds=12)
    await deliver(plane)

    assert (first["tries"], first["status"], second["tries"]) == (1, 500, 0)
    assert first["problem"] == "the receiver answered 500"
    assert [kind for kind, _ in receiver.events()] == [*["model.created"] * 3, "version.published"]
    assert len({message.event["id"] for message in receiver.received}) == 2
    stamps = [message.headers["webhook-timestamp"] for message in receiver.received]
    assert len(set(stamps)) == 3
    assert await deliveries(admin, webhook, state="pending") == []


async def test_one_subject_does_not_wait_for_another(
    admin: httpx.AsyncClient, plane: ControlPlane, receiver: Receiver
):
    await listening(admin, receiver)
    first = await made_model(admin, "first")
    receiver.statuses.append(500)
    await deliver(plane)
    await published_version(admin, plane, first)
    await made_model(admin, "second")

    await deliver(plane)

    told = [(message.event["type"], message.event["data"]["name"]) for message in receiver.received]
    assert told == [("model.created", "first"), ("model.created", "second")]


async def test_a_delivery_that_always_fails_is_dead_listed_and_can_be_revived(
    admin: httpx.AsyncClient, plane: ControlPlane, receiver: Receiver, clock: WallClock
):
    webhook = await listening(admin, receiver, "model.created")
    receiver.statuses.extend([503] * 16)
    await made_model(admin)
    for _ in range(20):
        await deliver(plane)
        clock.advance(hours=2)

    (dead,) = await deliveries(admin, webhook, state="dead")
    path = f"{API}/webhooks/{webhook}/deliveries"
    revived = await admin.post(f"{path}/{dead['id']}/retry")
    twice = await admin.post(f"{path}/{dead['id']}/retry")
    await deliver(plane)

    assert (dead["tries"], dead["status"], dead["due_at"]) == (16, 503, None)
    assert len(receiver.received) == 17
    assert (revived.status_code, twice.status_code) == (200, 404)
    assert [each["state"] for each in await deliveries(admin, webhook)] == ["delivered"]


async def test_a_receiver_that_is_not_there_is_named(
    admin: httpx.AsyncClient, plane: ControlPlane, receiver: Receiver
):
    url = receiver.url.replace("127.0.0.1", "does-not-exist.invalid")
    created = await admin.post(f"{API}/webhooks", json={"url": url})
    await made_model(admin)

    await deliver(plane)

    (pending,) = await deliveries(admin, created.json()["id"])
    assert (pending["state"], pending["tries"], pending["status"]) == ("pending", 1, None)
    assert pending["problem"]


async def test_replicas_that_deliver_at_once_tell_once(
    admin: httpx.AsyncClient,
    plane: ControlPlane,
    receiver: Receiver,
    tmp_path: Path,
    clock: WallClock,
):
    await listening(admin, receiver)
    for number in range(20):
        await made_model(admin, f"model-{number}")
    with control_plane(tmp_path, clock, webhooks_private=True) as other:
        await asyncio.gather(*(deliver(each) for each in (plane, other) * 3))

    ids = [message.event["id"] for message in receiver.received]
    assert len(ids) == len(set(ids)) == 20


async def test_what_somebody_took_and_never_settled_is_told_after_the_lease(
    admin: httpx.AsyncClient, plane: ControlPlane, receiver: Receiver, clock: WallClock
):
    await listening(admin, receiver)
    await made_model(admin)
    assert len(await plane.threads.write(plane.deliveries.claim)) == 1  # and dies

    await deliver(plane)
    early = len(receiver.received)
    clock.advance(seconds=21)
    await deliver(plane)

    assert (early, len(receiver.received)) == (0, 1)


async def test_a_receiver_that_does_not_answer_keeps_nobody_waiting(
    admin: httpx.AsyncClient,
    stranger: httpx.AsyncClient,
    plane: ControlPlane,
    receiver: Receiver,
):
    """It has more to be told than it has places, and never answers."""
    called = asyncio.Event()

    async def stand_still(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        called.set()
        await reader.read()
        writer.close()

    dead = await asyncio.start_server(stand_still, "127.0.0.1", 0)
    port = dead.sockets[0].getsockname()[1]
    await admin.post(f"{API}/webhooks", json={"url": f"http://127.0.0.1:{port}/"})
    for number in range(TO_EACH + 1):
        await made_model(admin, f"model-{number}")
    await listening(stranger, receiver)
    patient = HttpWebhookSender(allow_private=True, timeout_s=3600)
    delivering = asyncio.create_task(deliver(replace(plane, webhook_sender=patient)))

    await called.wait()
    await made_model(stranger)

    async with asyncio.timeout(PATIENCE_S):
        while not receiver.received:
            await asyncio.sleep(0.01)
    assert receiver.events() == [("model.created", None)]
    assert not delivering.done()
    delivering.cancel()
    await asyncio.wait([delivering])
    dead.close()


async def test_a_removed_webhook_is_told_nothing_more(
    admin: httpx.AsyncClient, plane: ControlPlane, receiver: Receiver
):
    webhook = await listening(admin, receiver)
    await made_model(admin)
    await admin.delete(f"{API}/webhooks/{webhook}")
    await made_model(admin, "another")

    await deliver(plane)

    assert receiver.received == []


async def test_old_deliveries_are_forgotten(
    admin: httpx.AsyncClient, plane: ControlPlane, receiver: Receiver, clock: WallClock
):
    webhook = await listening(admin, receiver)
    await made_model(admin)
    await deliver(plane)
    clock.advance(days=29)
    await drop_leftovers(plane)
    kept = await deliveries(admin, webhook)
    clock.advance(days=2)
    await drop_leftovers(plane)

    assert (len(kept), await deliveries(admin, webhook)) == (1, [])


async def test_what_is_undone_is_not_told(
    admin: httpx.AsyncClient, plane: ControlPlane, receiver: Receiver
):
    await listening(admin, receiver)
    model = await made_model(admin)
    refused = await admin.post(f"{API}/models/{model}/versions/1.0.0/publish", json={})

    await deliver(plane)

    assert refused.status_code == 404
    assert receiver.events() == [("model.created", None)]


@pytest.mark.parametrize(
    ("method", "suffix"),
    [("GET", ""), ("DELETE", ""), ("GET", "/deliveries"), ("POST", "/deliveries/1/retry")],
)
async def test_another_organisation_s_webhook_is_not_there(
    admin: httpx.AsyncClient,
    stranger: httpx.AsyncClient,
    receiver: Receiver,
    method: str,
    suffix: str,
):
    webhook = await listening(admin, receiver)

    answer = await stranger.request(method, f"{API}/webhooks/{webhook}{suffix}")

    assert (answer.status_code, answer.json()["error"]) == (404, "not_found")
    assert (await stranger.get(f"{API}/webhooks")).json() == {"webhooks": []}


@pytest.mark.parametrize(
    "host", ["localhost", "127.0.0.1", "10.0.0.1", "169.254.169.254", "[::1]", "[::ffff:10.0.0.1]"]
)
async def test_private_addresses_are_refused_unless_allowed(
    tmp_path: Path, clock: WallClock, host: str
):
    (tmp_path / "strict").mkdir()
    with control_plane(tmp_path / "strict", clock) as plane:
        async with client_of(plane, key_of(plane)) as client:
            answer = await client.post(f"{API}/webhooks", json={"url": f"http://{host}/"})

    assert answer.status_code == 400
    assert "OCTOMIL_WEBHOOKS_PRIVATE" in answer.json()["message"]
