"""A block holds for the same files, under whatever number they are published again."""

from typing import Any

import httpx
import pytest

from octomil.control.jobs.rollouts import steer
from octomil.control.plane import ControlPlane
from support.control import API
from support.registry import new_model
from support.rollouts import (
    Who,
    attest,
    begun,
    everywhere,
    history,
    published,
    shown,
    staged,
    take,
    those,
    told,
)
from support.rollouts import act as steered

AT_ONCE: dict[str, Any] = {"health_window_s": 0, "dwell_s": 0}


async def breaks(
    client: httpx.AsyncClient, plane: ControlPlane, rollout: dict[str, Any], fleet: dict[str, Who]
) -> None:
    """Let every device say that it cannot run a version, so that it is blocked."""
    for each in fleet.values():
        await attest(client, each, rollout, status="failed", message="no", code="crashed")
    await steer(plane)
    assert (await shown(client, rollout))["status"] == "rolled_back"


async def is_blocked(client: httpx.AsyncClient, model: str, number: str) -> bool:
    answer = await client.get(f"{API}/models/{model}/versions/{number}/block")
    assert answer.status_code == 200, answer.text
    return bool(answer.json()["is_blocked"])


@pytest.fixture
async def blocked(
    admin: httpx.AsyncClient, plane: ControlPlane, model: str, fleet: dict[str, Who]
) -> dict[str, Any]:
    """A rollout of 2.0.0 that was rolled back for its health."""
    await everywhere(admin, plane, model, fleet)
    rollout = await begun(admin, model, "2.0.0", **AT_ONCE)
    await breaks(admin, plane, rollout, fleet)
    return rollout


async def test_the_same_files_are_blocked_under_another_number_until_somebody_lifts_it(
    admin: httpx.AsyncClient, model: str, blocked: dict[str, Any]
):
    assert await published(admin, model, "2.0.1") != blocked["digest"]

    body = {"version": "2.0.1", "rollout_percentage": 10}
    refused = await admin.post(f"{API}/models/{model}/rollouts", json=body)

    assert (refused.status_code, "blocked since" in refused.json()["message"]) == (409, True)
    assert await is_blocked(admin, model, "2.0.1")
    unblock = f"{API}/models/{model}/versions/2.0.1/unblock"
    (await admin.post(unblock, json={"reason": "ours"})).raise_for_status()
    assert not await is_blocked(admin, model, "2.0.0")
    assert (await admin.post(f"{API}/models/{model}/rollouts", json=body)).status_code == 201


async def test_they_stay_blocked_although_the_version_itself_was_removed(
    admin: httpx.AsyncClient, model: str, blocked: dict[str, Any]
):
    assert (await admin.delete(f"{API}/models/{model}/versions/2.0.0")).status_code == 200

    await published(admin, model, "2.0.1")

    assert await is_blocked(admin, model, "2.0.1")


async def test_other_files_and_other_models_are_free(
    admin: httpx.AsyncClient, model: str, blocked: dict[str, Any]
):
    other = await new_model(admin, "other")
    await published(admin, other, "2.0.0")
    await published(admin, model, "3.0.0")

    assert not await is_blocked(admin, other, "2.0.0")
    assert not await is_blocked(admin, model, "3.0.0")
    await begun(admin, model, "3.0.0", **AT_ONCE)


async def test_an_earlier_rollout_of_the_same_files_is_rolled_back_with_them(
    admin: httpx.AsyncClient, plane: ControlPlane, model: str, fleet: dict[str, Who]
):
    await everywhere(admin, plane, model, fleet)
    await published(admin, model, "2.0.1")
    part = {**AT_ONCE, "version": "2.0.0", "target_percentage": 20}
    half = await staged(admin, model, fleet, 20, **part)
    await steered(admin, half, "start")
    took_it = those(half, fleet, 0, 20)
    await take(admin, half, took_it)
    await steer(plane)
    assert (await shown(admin, half))["status"] == "completed"

    await breaks(admin, plane, await begun(admin, model, "2.0.1", **AT_ONCE), fleet)

    *_, last = await history(admin, half)
    assert (last["action"], last["actor"]) == ("roll_back", "controller")
    assert await told(admin, took_it[0]) == ["1.0.0"]
