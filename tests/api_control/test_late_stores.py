"""Rollouts whose blob store takes its time, and what becomes of others meanwhile: over HTTP."""

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

import httpx
import pytest

from octomil.control.jobs.rollouts import Steering, steer
from octomil.control.plane import ControlPlane
from octomil.control.ports import BlobStore
from octomil.rollouts.states import RolloutState
from support.registry import new_model
from support.rollouts import (
    Who,
    act,
    attest,
    begun,
    everywhere,
    history,
    is_well,
    published,
    shown,
    staged,
    take,
    those,
)

PATIENCE_S = 120.0
"""Only ever spent where something is wrong."""


class LateStore:
    """Keeps whoever asks for a file's size waiting.

    Attributes:
        asked: set once somebody asks.
        answers: set when the store is to answer, then and from there on.
    """

    def __init__(self, plane: ControlPlane, patch: pytest.MonkeyPatch) -> None:
        self.asked = asyncio.Event()
        self.answers = threading.Event()
        loop, look = asyncio.get_running_loop(), type(plane.blobs).size

        def size(store: BlobStore, digest: str) -> int | None:
            loop.call_soon_threadsafe(self.asked.set)
            assert self.answers.wait(PATIENCE_S)
            return look(store, digest)

        patch.setattr(type(plane.blobs), "size", size)

    @asynccontextmanager
    async def keeping(self, task: "asyncio.Task[Any]") -> AsyncIterator[None]:
        """Keep what runs in a task waiting for an answer for as long as the block lasts."""
        try:
            async with asyncio.timeout(PATIENCE_S):
                await self.asked.wait()
            yield
        finally:
            self.answers.set()
            await task


@pytest.fixture
async def rollout(
    admin: httpx.AsyncClient, plane: ControlPlane, model: str, fleet: dict[str, Who]
) -> dict[str, Any]:
    """Its next step is due: of the devices that were offered it one took it, and well."""
    await everywhere(admin, plane, model, fleet)
    made = await staged(admin, model, fleet, 10, 20, 60, version="2.0.0")
    await act(admin, made, "start")
    await is_well(admin, plane, made, those(made, fleet, 0, 10)[:1])
    return made


async def break_most(
    admin: httpx.AsyncClient, rollout: dict[str, Any], fleet: dict[str, Who]
) -> None:
    """Let all devices that were offered it fail but the one that took it well."""
    well = those(rollout, fleet, 0, 10)[0]
    for who in those(rollout, fleet, 0, 20):
        if who != well:
            assert (await attest(admin, who, rollout, status="failed")).status_code == 200


async def test_no_wave_goes_out_once_devices_failed_while_the_store_was_asked(
    admin: httpx.AsyncClient,
    plane: ControlPlane,
    fleet: dict[str, Who],
    rollout: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
):
    late = LateStore(plane, monkeypatch)

    async with late.keeping(asyncio.create_task(steer(plane))):
        await break_most(admin, rollout, fleet)

    present, (*_, last) = await shown(admin, rollout), await history(admin, rollout)
    assert (present["status"], present["offered_percentage"]) == ("rolled_back", 20)
    assert (last["action"], last["actor"]) == ("roll_back", "controller")


async def test_a_step_begins_when_the_store_has_answered(
    admin: httpx.AsyncClient,
    plane: ControlPlane,
    rollout: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
):
    late = LateStore(plane, monkeypatch)

    async with late.keeping(asyncio.create_task(steer(plane))):
        plane.clock.advance(seconds=300)

    *_, last = await history(admin, rollout)
    assert (last["action"], datetime.fromisoformat(last["at"])) == ("advance", plane.clock())


async def test_a_breach_does_not_wait_for_the_store(
    admin: httpx.AsyncClient,
    plane: ControlPlane,
    fleet: dict[str, Who],
    rollout: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
):
    other_model = await new_model(admin, "other")
    await published(admin, other_model, "1.0.0")
    other = await staged(admin, other_model, fleet, 10, 20)
    await act(admin, other, "start")
    plane.clock.advance(seconds=60)  # so few failures are a breach once its time is over
    late, steering = LateStore(plane, monkeypatch), Steering(plane)
    await steering.look()
    sending = asyncio.create_task(steering.send())

    async with late.keeping(sending):
        for each in (rollout, other):
            await break_most(admin, each, fleet)
        await steering.look()
        states = [(await shown(admin, each))["status"] for each in (rollout, other)]
        is_waiting = not sending.done()

    assert (is_waiting, states) == (True, ["rolled_back", "rolled_back"])
    assert (await shown(admin, rollout))["offered_percentage"] == 20


async def test_what_needs_no_file_is_done_before_the_blob_store_is_asked(
    admin: httpx.AsyncClient,
    plane: ControlPlane,
    fleet: dict[str, Who],
    rollout: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
):
    other_model = await new_model(admin, "other")
    await published(admin, other_model, "1.0.0")
    other = await begun(admin, other_model)  # looked at later: it began later
    await take(admin, other, list(fleet.values()))
    found: list[RolloutState | None] = []
    look = type(plane.blobs).size

    def size(self: BlobStore, digest: str) -> int | None:
        with plane.store.snapshot("default") as tx:
            present = tx.rollouts.get(other_model, other["id"])
        found.append(present and present.state)
        return look(self, digest)

    monkeypatch.setattr(type(plane.blobs), "size", size)
    await steer(plane)

    assert found == [RolloutState.COMPLETED]
    assert (await shown(admin, rollout))["rollout_percentage"] == 60


async def test_who_waits_for_the_blob_store_need_not_rest_from_it(
    plane: ControlPlane, rollout: dict[str, Any], monkeypatch: pytest.MonkeyPatch
):
    moment_s, rests = 100.0, []
    look = type(plane.blobs).size

    def size(self: BlobStore, digest: str) -> int | None:
        nonlocal moment_s
        moment_s += 60
        return look(self, digest)

    async def rest(seconds: float) -> None:
        rests.append((moment_s, seconds))

    monkeypatch.setattr(type(plane.blobs), "size", size)
    steering = Steering(plane, lambda: moment_s, rest)
    await steering.look()
    await steering.send_sparingly()

    assert rests == [(160.0, 0.0)]
