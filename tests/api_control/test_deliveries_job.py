"""The job that tells webhooks, while the database cannot be written."""

import asyncio
from dataclasses import replace
from typing import Any

import httpx
import pytest

from octomil.control.jobs.webhooks import deliver
from octomil.control.plane import ControlPlane
from octomil.control.records import Delivery
from octomil.control.services.deliveries import LEASE, DeliveryService
from octomil.errors import ServiceUnavailableError
from support.control import API, WallClock
from support.versions import made_model
from support.waiting import PATIENCE_S


class Sender:
    """Takes every message, once it may."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.is_sending, self.go_on = asyncio.Event(), asyncio.Event()
        self.go_on.set()

    async def send(self, url: str, _headers: object, _body: object) -> int:
        self.told.append(url)
        self.is_sending.set()
        await self.go_on.wait()
        return 200


async def states(client: httpx.AsyncClient) -> list[str]:
    """What became of the deliveries to the only webhook, newest first."""
    (webhook,) = (await client.get(f"{API}/webhooks")).json()["webhooks"]
    answer = await client.get(f"{API}/webhooks/{webhook['id']}/deliveries")
    return [each["state"] for each in answer.json()["deliveries"]]


async def to_be_told(client: httpx.AsyncClient, models: int) -> None:
    """Make a webhook, and models that it is to be told of."""
    answer = await client.post(f"{API}/webhooks", json={"url": "https://example.com"})
    assert answer.status_code == 201, answer.text
    for number in range(models):
        await made_model(client, f"model-{number}")


async def test_one_delivery_whose_end_cannot_be_noted_keeps_no_other_from_being_told(
    admin: httpx.AsyncClient,
    plane: ControlPlane,
    clock: WallClock,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
):
    await to_be_told(admin, models=3)
    settle, is_faulty, sender = DeliveryService.settle, True, Sender()

    def settled(self: DeliveryService, delivery: Delivery, *how: Any) -> None:
        if is_faulty and delivery.sequence == 1:
            raise ServiceUnavailableError("the disk is full")
        settle(self, delivery, *how)

    monkeypatch.setattr(DeliveryService, "settle", settled)
    await deliver(replace(plane, webhook_sender=sender))
    at_first = await states(admin)
    is_faulty = False
    clock.advance(seconds=LEASE.total_seconds())
    await deliver(replace(plane, webhook_sender=sender))

    assert at_first == ["delivered", "delivered", "pending"]
    assert await states(admin) == ["delivered"] * 3
    assert len(sender.told) == 4  # at least once
    assert "the delivery 1 is not noted" in caplog.text


async def test_what_cannot_be_claimed_ends_nothing_that_is_under_way(
    admin: httpx.AsyncClient,
    plane: ControlPlane,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
):
    await to_be_told(admin, models=1)
    claim, loop, sender = DeliveryService.claim, asyncio.get_running_loop(), Sender()
    sender.go_on.clear()

    def claimed(self: DeliveryService, *how: Any) -> Any:
        if sender.is_sending.is_set() and not sender.go_on.is_set():
            loop.call_soon_threadsafe(sender.go_on.set)
            raise ServiceUnavailableError("the disk is full")
        return claim(self, *how)

    monkeypatch.setattr(DeliveryService, "claim", claimed)
    async with asyncio.timeout(PATIENCE_S):
        await deliver(replace(plane, webhook_sender=sender))

    assert await states(admin) == ["delivered"]
    assert "could not be read" in caplog.text
