"""How far devices are with a version, before they attest anything: seen, and no evidence."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import httpx
import pytest

from octomil.control.jobs.catalog import write_last_seen, write_stages
from octomil.control.jobs.rollouts import steer
from octomil.control.plane import ControlPlane
from octomil.control.services import stages
from octomil.control.services.observations import observed
from octomil.rollouts.device_states import SILENCE
from support.control import API, WallClock
from support.rollouts import Who, act, affected_by, attest, begun, device, shown

ON_THE_WAY = ["downloading", "verifying", "staged", "activating"]


async def tell(
    client: httpx.AsyncClient, who: Who, rollout: dict[str, Any], stage: str, **changes: Any
) -> httpx.Response:
    body = {"model_id": rollout["model_id"], "digest": rollout["digest"], "stage": stage}
    return await client.post(
        f"{API}/devices/{who[0]}/stages", json={**body, **changes}, headers=who[1]
    )


async def told(
    client: httpx.AsyncClient,
    plane: ControlPlane,
    who: Who,
    rollout: dict[str, Any],
    stage: str,
    **changes: Any,
) -> bool:
    """Tell a stage, and have it written down; returns whether it was noted."""
    answer = await tell(client, who, rollout, stage, **changes)
    assert answer.status_code == 200, answer.text
    await write_stages(plane)
    return bool(answer.json()["is_noted"])


async def states(client: httpx.AsyncClient, rollout: dict[str, Any]) -> dict[str, str]:
    """Where devices stand, by their ids."""
    affected = await affected_by(client, rollout)
    return {each["device_id"]: each["state"] for each in affected}


async def test_a_device_is_seen_at_each_stage(
    admin: httpx.AsyncClient, plane: ControlPlane, model: str
):
    rollout, who = await begun(admin, model, health_window_s=30), await device(admin)
    seen = []
    for stage in ON_THE_WAY:
        assert await told(admin, plane, who, rollout, stage)
        seen.append((await states(admin, rollout))[who[0]])
    (await attest(admin, who, rollout)).raise_for_status()

    assert seen == ON_THE_WAY
    assert await states(admin, rollout) == {who[0]: "confirming"}


async def test_a_stage_that_comes_late_takes_nothing_back(
    admin: httpx.AsyncClient, plane: ControlPlane, model: str
):
    rollout, who = await begun(admin, model), await device(admin)
    assert await told(admin, plane, who, rollout, "staged")
    assert await told(admin, plane, who, rollout, "downloading")
    assert await states(admin, rollout) == {who[0]: "staged"}

    assert (await tell(admin, who, rollout, "activating")).json()["is_noted"]
    (await attest(admin, who, rollout)).raise_for_status()
    await write_stages(plane)

    assert await states(admin, rollout) == {who[0]: "succeeded"}


async def test_what_a_device_is_not_offered_is_passed_over(
    admin: httpx.AsyncClient, plane: ControlPlane, model: str
):
    rollout, who = await begun(admin, model), await device(admin)
    other = "sha256:" + "ab" * 32

    assert not await told(admin, plane, who, rollout, "downloading", digest=other)
    assert not await told(admin, plane, who, rollout, "downloading", model_id="mdl_other")
    assert await states(admin, rollout) == {}


async def test_what_was_withdrawn_before_it_is_written_is_passed_over(
    admin: httpx.AsyncClient, plane: ControlPlane, model: str
):
    rollout, who = await begun(admin, model), await device(admin)
    assert (await tell(admin, who, rollout, "downloading")).json()["is_noted"]
    assert (await act(admin, rollout, "rollback")).status_code == 200
    await write_stages(plane)

    assert await states(admin, rollout) == {}


async def test_a_pause_does_not_hide_who_has_begun(
    admin: httpx.AsyncClient, plane: ControlPlane, model: str
):
    rollout = await begun(admin, model, dwell_s=60, health_window_s=60)
    who = await device(admin)
    assert (await act(admin, rollout, "pause")).status_code == 200

    assert await told(admin, plane, who, rollout, "downloading")
    assert await states(admin, rollout) == {who[0]: "downloading"}


async def test_a_device_speaks_for_itself_alone(admin: httpx.AsyncClient, model: str):
    rollout = await begun(admin, model)
    one, other = await device(admin, "box-1"), await device(admin, "box-2")

    for who in ((other[0], one[1]), (other[0], dict(admin.headers))):
        answer = await tell(admin, who, rollout, "downloading")
        assert (answer.status_code, answer.json()["error"]) == (403, "forbidden")


@pytest.mark.parametrize("stage", ["confirming", "succeeded", "", None])
async def test_what_is_no_stage_is_refused(admin: httpx.AsyncClient, model: str, stage: Any):
    rollout, who = await begun(admin, model), await device(admin)

    assert (await tell(admin, who, rollout, stage)).status_code == 400


async def test_who_is_on_the_way_is_evidence_as_before(
    admin: httpx.AsyncClient, plane: ControlPlane, model: str, clock: WallClock
):
    """It still runs what it ran, and a word on that is no going back."""
    first, who = await begun(admin, model), await device(admin)
    (await attest(admin, who, first)).raise_for_status()
    await steer(plane)
    assert (await shown(admin, first))["status"] == "completed"
    clock.advance(seconds=60)
    second = await begun(admin, model, "2.0.0", health_window_s=30, dwell_s=60)
    clock.advance(seconds=60)
    (await attest(admin, who, first)).raise_for_status()
    await write_last_seen(plane)
    before = seen(plane, model, second)

    assert await told(admin, plane, who, second, "downloading")
    (await attest(admin, who, first)).raise_for_status()

    assert await states(admin, second) == {who[0]: "downloading"}
    assert seen(plane, model, second) == replace(before, on_the_way=1)
    assert before.baseline.devices == 1
    (await attest(admin, who, second)).raise_for_status()
    assert seen(plane, model, second).candidate.under_way == 1


async def test_who_took_too_long_and_runs_it_then_is_evidence(
    admin: httpx.AsyncClient, plane: ControlPlane, model: str, clock: WallClock
):
    rollout, who = await begun(admin, model, health_window_s=30, dwell_s=60), await device(admin)
    assert await told(admin, plane, who, rollout, "activating")
    clock.advance(seconds=31 + SILENCE / timedelta(seconds=1))
    (active,) = plane.orchestrator.steered()
    assert plane.orchestrator.give_up_on_silent(active) == 1
    assert await states(admin, rollout) == {who[0]: "timed_out"}
    assert seen(plane, model, rollout).candidate.devices == 0

    who = await device(admin)  # its token has ended meanwhile
    (await attest(admin, who, rollout)).raise_for_status()

    assert await states(admin, rollout) == {who[0]: "confirming"}
    assert seen(plane, model, rollout).candidate.under_way == 1


async def test_many_are_written_a_part_at_a_time(
    admin: httpx.AsyncClient, plane: ControlPlane, model: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(stages, "AT_ONCE", 2)
    rollout = await begun(admin, model)
    fleet = [await device(admin, f"box-{number}") for number in range(5)]
    for who in fleet:
        await tell(admin, who, rollout, "downloading")
    assert len(plane.stages.take()) == 2  # as if they were lost

    await write_stages(plane)

    assert len(await states(admin, rollout)) == 3
    assert len(plane.stages) == 0


async def test_what_could_not_be_written_waits_and_what_is_newer_wins(
    admin: httpx.AsyncClient, plane: ControlPlane, model: str
):
    rollout, who = await begun(admin, model), await device(admin)
    await tell(admin, who, rollout, "downloading")
    lost = plane.stages.take()
    await tell(admin, who, rollout, "verifying")
    plane.stages.put_back(lost, OSError())

    await write_stages(plane)

    assert await states(admin, rollout) == {who[0]: "verifying"}


def seen(plane: ControlPlane, model: str, rollout: dict[str, Any]) -> Any:
    """What the gates look at."""
    with plane.store.snapshot("default") as tx:
        present = tx.rollouts.get(model, rollout["id"])
        assert present is not None
        return observed(tx, present, plane.clock())
