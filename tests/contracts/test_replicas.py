"""Two control planes on one Postgres: what runs on a timer in both has no effect twice."""

import asyncio
from collections import Counter
from collections.abc import Iterator
from hashlib import sha256
from typing import Any

import httpx
import pytest

from octomil.control.jobs.catalog import jobs_of
from octomil.control.plane import ControlPlane
from octomil.control.services.garbage import GRACE
from octomil.control.services.idempotency import KEPT
from octomil.wire.webhooks import WebhookCreation
from support.control import API, WallClock, bearer, client_of, key_of
from support.model_files import safetensors_file
from support.rollouts import AT_ONCE, published
from support.versions import caller_of, made_model
from support.webhook_receiver import Receiver, receiving

MODELS = 6


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


async def run_all_jobs(replicas: list[ControlPlane], times: int = 3) -> None:
    for _ in range(times):
        jobs = [job() for plane in replicas for _, job in jobs_of(plane).values()]
        await asyncio.gather(*jobs)


async def attested_rollout(client: httpx.AsyncClient, name: str) -> str:
    """A rollout that every device attests, and nobody has completed yet; returns its id."""
    model = await made_model(client, name)
    await published(client, model, "1.0.0")
    body = {**AT_ONCE, "version": "1.0.0"}
    begun = await client.post(f"{API}/models/{model}/rollouts", json=body)
    registration = {"device_identifier": "box-1"}
    tokens = (await client.post(f"{API}/device-auth/bootstrap", json=registration)).json()
    attested = await client.post(
        f"{API}/devices/{tokens['device_id']}/attestations",
        json={"model_id": model, "version": "1.0.0", "digest": begun.json()["digest"]},
        headers=bearer(tokens["access_token"]),
    )
    assert attested.status_code == 200, attested.text
    return begun.json()["id"]


async def test_jobs_that_run_everywhere_at_once_do_everything_once(
    replicas: list[ControlPlane], receiver: Receiver, clock: WallClock
):
    one = replicas[0]
    for number in range(MODELS):
        content = safetensors_file(w=[10.0 + number])
        one.spool.append(f"u{number}", 0, content)
        one.intake.keep(f"u{number}")
    clock.advance(seconds=GRACE.total_seconds() + KEPT.total_seconds())
    async with client_of(one, key_of(one)) as client:
        body = {"url": receiver.url, "events": ["model.created"]}
        assert (await client.post(f"{API}/webhooks", json=body)).status_code == 201
        rollouts = {await attested_rollout(client, f"net-{n}") for n in range(MODELS)}
        await run_all_jobs(replicas)
        acts = (await client.get(f"{API}/audit?limit=500")).json()["entries"]

    done = Counter(act["target"] for act in acts if act["operation"] == "rollout.complete")
    assert done == Counter(rollouts)
    told = Counter(message.event["id"] for message in receiver.received)
    assert (len(told), set(told.values())) == (MODELS, {1})
    with one.store.system_snapshot() as tx:
        kept = [each.digest for each in tx.blob_ledger.list("", MODELS)]
    assert kept == [sha256(safetensors_file(w=[1.0])).hexdigest()], "that of the versions"


def test_what_a_slow_replica_learns_late_changes_nothing(
    replicas: list[ControlPlane], receiver: Receiver, clock: WallClock
):
    """One takes a delivery and stalls, the other takes it over and delivers; then one is back."""
    slow, quick = replicas
    key_of(slow)
    slow.webhooks.create(caller_of(), WebhookCreation(url=receiver.url))
    asyncio.run(_a_model(slow))
    (stalled,) = slow.deliveries.claim()
    clock.advance(seconds=60)
    (taken_over,) = quick.deliveries.claim()
    quick.deliveries.settle(taken_over.delivery, 200, None)

    slow.deliveries.settle(stalled.delivery, None, "timed out")

    settled = _delivery(slow)
    assert (settled.state, settled.tries, settled.problem) == ("delivered", 1, None)
    assert quick.deliveries.claim() == []


async def _a_model(plane: ControlPlane) -> None:
    async with client_of(plane, key_of(plane)) as client:
        await made_model(client)


def _delivery(plane: ControlPlane) -> Any:
    with plane.store.snapshot("default") as tx:
        (webhook,) = tx.webhooks.list()
        (delivery,) = tx.outbox.list(webhook.id, state=None, limit=9)
        return delivery
