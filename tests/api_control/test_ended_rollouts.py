"""Devices that had come to no end when their rollout was over, over HTTP."""

import logging
from datetime import timedelta
from typing import Any

import httpx
import pytest

from octomil.control.jobs.catalog import write_stages
from octomil.control.jobs.rollouts import steer
from octomil.control.plane import ControlPlane
from octomil.control.records import Rollout
from octomil.control.services import ended_rollouts
from octomil.rollouts.device_states import SILENCE
from support.control import API
from support.registry import new_model
from support.rollouts import (
    Who,
    act,
    affected_by,
    attest,
    begun,
    device,
    path_of,
    published,
    shown,
    told,
)

WINDOW_S = 30
TO_ALL: dict[str, Any] = {"health_window_s": WINDOW_S, "dwell_s": 60}


async def states(client: httpx.AsyncClient, rollout: dict[str, Any]) -> dict[str, str]:
    """Where devices stand, by their ids."""
    return {each["device_id"]: each["state"] for each in await affected_by(client, rollout)}


async def downloads(
    client: httpx.AsyncClient, plane: ControlPlane, rollout: dict[str, Any], who: Who
) -> None:
    """Let a device say that it downloads, and have it written down."""
    body = {"model_id": rollout["model_id"], "digest": rollout["digest"], "stage": "downloading"}
    answer = await client.post(f"{API}/devices/{who[0]}/stages", json=body, headers=who[1])
    assert answer.status_code == 200, answer.text
    await write_stages(plane)


@pytest.fixture
async def box(admin: httpx.AsyncClient) -> Who:
    return await device(admin)


@pytest.fixture
async def slow(admin: httpx.AsyncClient) -> Who:
    return await device(admin, "slow-box")


async def test_a_rollback_lets_everybody_go_who_had_not_finished(
    admin: httpx.AsyncClient,
    plane: ControlPlane,
    model: str,
    fleet: dict[str, Who],
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(ended_rollouts, "AT_ONCE", 7)
    rollout = await begun(admin, model, **TO_ALL)
    (first, *others), (late, *_) = list(fleet.values())[:-1], list(fleet.values())[-1:]
    for who in (first, *others):
        (await attest(admin, who, rollout)).raise_for_status()
    plane.clock.advance(seconds=WINDOW_S)
    (await attest(admin, first, rollout)).raise_for_status()
    await downloads(admin, plane, rollout, late)
    assert set((await states(admin, rollout)).values()) == {
        "confirming", "downloading", "succeeded"
    }  # fmt: skip

    await act(admin, rollout, "rollback")
    await steer(plane)

    superseded = dict.fromkeys((who[0] for who in (*others, late)), "superseded")
    assert await states(admin, rollout) == {**superseded, first[0]: "succeeded"}
    present = await shown(admin, rollout)
    assert (present["status"], present["active_devices"]) == ("rolled_back", len(others) + 1), (
        "they still attest it"
    )


async def test_devices_that_cannot_be_ended_hold_up_no_other_rollout_s(
    admin: httpx.AsyncClient,
    plane: ControlPlane,
    model: str,
    box: Who,
    slow: Who,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
):
    other_model = await new_model(admin, "other")
    await published(admin, other_model, "1.0.0")
    first = await begun(admin, model, **TO_ALL)
    second = await begun(admin, other_model, **TO_ALL)
    for rollout, who in ((first, box), (second, slow)):
        await downloads(admin, plane, rollout, who)
        await act(admin, rollout, "rollback")
    end_some = plane.ended_rollouts.end_some

    def fail_first(rollout: Rollout) -> bool:
        if rollout.id == first["id"]:
            raise ArithmeticError("its devices are none")
        return end_some(rollout)

    monkeypatch.setattr(plane.ended_rollouts, "end_some", fail_first)
    with caplog.at_level(logging.ERROR, "octomil.control"):
        await steer(plane)

    assert await states(admin, first) == {box[0]: "downloading"}
    assert await states(admin, second) == {slow[0]: "superseded"}
    (logged,) = caplog.records
    assert (first["id"] in logged.message, logged.exc_info is not None) == (True, True)


async def test_a_deleted_one_lets_its_devices_go_and_they_may_take_the_next(
    admin: httpx.AsyncClient, plane: ControlPlane, model: str, box: Who
):
    rollout = await begun(admin, model, **TO_ALL)
    await downloads(admin, plane, rollout, box)

    assert (await admin.delete(path_of(rollout), params={"force": "true"})).status_code == 200
    await steer(plane)

    with plane.store.snapshot("default") as tx:
        known = tx.rollout_devices.get(rollout["id"], box[0])
    assert known is not None
    assert known.progress.state == "superseded"
    again = await begun(admin, model, **TO_ALL)
    (await attest(admin, box, again)).raise_for_status()
    assert await states(admin, again) == {box[0]: "confirming"}


async def test_who_stays_silent_after_a_rollout_was_completed_has_timed_out(
    admin: httpx.AsyncClient, plane: ControlPlane, model: str, box: Who, slow: Who
):
    rollout = await begun(admin, model, **TO_ALL)
    (await attest(admin, box, rollout)).raise_for_status()
    await downloads(admin, plane, rollout, slow)
    await act(admin, rollout, "advance", reason="it is good enough")
    assert (await shown(admin, rollout))["status"] == "completed"

    plane.clock.advance(seconds=WINDOW_S + SILENCE.total_seconds() - 1)
    await steer(plane)
    assert await states(admin, rollout) == {box[0]: "confirming", slow[0]: "downloading"}
    plane.clock.advance(seconds=1)
    await steer(plane)

    assert await states(admin, rollout) == {box[0]: "timed_out", slow[0]: "timed_out"}
    codes = {each["device_id"]: each["code"] for each in await affected_by(admin, rollout)}
    assert codes == {box[0]: "confirming_took_too_long", slow[0]: "downloading_took_too_long"}
    assert (await shown(admin, rollout))["status"] == "completed", "nobody is at risk"


async def test_who_comes_late_to_a_completed_rollout_may_take_it(
    admin: httpx.AsyncClient, plane: ControlPlane, model: str, box: Who
):
    rollout = await begun(admin, model, **TO_ALL)
    await downloads(admin, plane, rollout, box)
    await act(admin, rollout, "advance")
    plane.clock.advance(hours=2)
    await steer(plane)
    assert await states(admin, rollout) == {box[0]: "timed_out"}

    again = await device(admin)  # its token has ended meanwhile
    assert again[0] == box[0]
    assert await told(admin, again) == ["1.0.0"]
    (await attest(admin, again, rollout)).raise_for_status()
    assert await states(admin, rollout) == {box[0]: "confirming"}
    plane.clock.advance(seconds=WINDOW_S)
    (await attest(admin, again, rollout)).raise_for_status()

    plane.clock.advance(hours=2)
    await steer(plane)
    assert await states(admin, rollout) == {box[0]: "succeeded"}


async def test_who_was_told_to_run_a_newer_version_did_not_time_out_with_the_one_before(
    admin: httpx.AsyncClient, plane: ControlPlane, model: str, box: Who
):
    first = await begun(admin, model, **TO_ALL)
    (await attest(admin, box, first)).raise_for_status()
    await act(admin, first, "advance")
    second = await begun(admin, model, "2.0.0", **TO_ALL)
    (await attest(admin, box, second)).raise_for_status()
    plane.clock.advance(seconds=WINDOW_S)
    (await attest(admin, box, second)).raise_for_status()

    plane.clock.now += SILENCE + timedelta(seconds=1)
    await steer(plane)

    assert await states(admin, first) == {box[0]: "superseded"}
    assert await states(admin, second) == {box[0]: "succeeded"}
