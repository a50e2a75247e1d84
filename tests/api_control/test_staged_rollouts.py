"""Rollouts in steps over HTTP: shares, waves, pauses, gates, rollbacks and blocks."""

import asyncio
from collections.abc import Collection
from itertools import pairwise
from typing import Any

import httpx
import pytest

from octomil.control.jobs.catalog import write_last_seen
from octomil.control.jobs.rollouts import AT_ONCE, RESTS, steer, steer_sparingly
from octomil.control.plane import ControlPlane
from octomil.control.services.observations import observed
from octomil.rollouts.device_states import DeviceState
from support.control import API
from support.registry import new_model
from support.rollouts import (
    Who,
    act,
    add_devices,
    assigned,
    attest,
    begun,
    device,
    history,
    path_of,
    placed,
    published,
    shown,
    told,
)

IN_STEPS: dict[str, Any] = {
    "rollout_percentage": 20, "increment_step": 40, "dwell_s": 60, "health_window_s": 30,
    "pacing": {"first_percentage": 100},
}  # fmt: skip
"""20, 60, 100: each step is offered at once, and lasts a minute."""


@pytest.fixture
async def model(admin: httpx.AsyncClient) -> str:
    model_id = await new_model(admin)
    for number in ("1.0.0", "2.0.0"):
        await published(admin, model_id, number)
    return model_id


@pytest.fixture
async def fleet(admin: httpx.AsyncClient) -> dict[str, Who]:
    """Thirty devices by their ids: enough for every share below to have some in it."""
    found = [await device(admin, f"box-{number}") for number in range(30)]
    return {each[0]: each for each in found}


def those(rollout: dict[str, Any], fleet: dict[str, Who], low: float, high: float) -> list[Who]:
    """The devices from one share to another, some at least."""
    found = [fleet[each] for each in placed(rollout["id"], list(fleet), low, high)]
    assert found, "begin the rollout again: its place for devices is drawn by chance"
    return found


async def staged(
    admin: httpx.AsyncClient,
    model: str,
    fleet: Collection[str],
    *shares: float,
    **changes: Any,
) -> dict[str, Any]:
    """A rollout for whose shares there are devices; ids are drawn, and those that do not fit
    are thrown away before they are started."""
    bounds = [0.0, *shares]
    while True:
        made = await begun(admin, model, **{**IN_STEPS, **changes, "start_immediately": False})
        pairs = pairwise(bounds)
        if all(placed(made["id"], list(fleet), low, high) for low, high in pairs):
            return made
        await admin.delete(path_of(made))


async def take(admin: httpx.AsyncClient, rollout: dict[str, Any], whose: list[Who]) -> None:
    """Let devices run the version."""
    for who in whose:
        assert (await attest(admin, who, rollout)).status_code == 200


async def everywhere(
    admin: httpx.AsyncClient, plane: ControlPlane, model: str, fleet: dict[str, Who]
) -> None:
    """Let every device run 1.0.0, completed."""
    first = await begun(admin, model)
    await take(admin, first, list(fleet.values()))
    await steer(plane)
    assert (await shown(admin, first))["status"] == "completed"


async def test_a_version_goes_from_step_to_step_while_all_is_well(
    admin: httpx.AsyncClient, plane: ControlPlane, model: str, fleet: dict[str, Who]
):
    await everywhere(admin, plane, model, fleet)
    rollout = await staged(admin, model, fleet, 20, 60, 100, version="2.0.0")
    await act(admin, rollout, "start")
    for low, high in ((0, 20), (20, 60), (60, 100)):
        present = await shown(admin, rollout)
        assert (present["status"], present["rollout_percentage"]) == ("active", high)
        new, rest = those(rollout, fleet, low, high), placed(rollout["id"], list(fleet), high, 100)
        assert {tuple(await told(admin, each)) for each in new} == {("2.0.0",)}
        assert {tuple(await told(admin, fleet[each])) for each in rest} <= {("1.0.0",)}
        await take(admin, rollout, new)
        plane.clock.advance(seconds=59)
        await take(admin, rollout, new)  # each says again that it is well, its window being over
        await steer(plane)
        assert (await shown(admin, rollout))["rollout_percentage"] == high
        plane.clock.advance(seconds=1)
        await steer(plane)

    done = await shown(admin, rollout)
    assert (done["status"], done["active_devices"], done["step"]) == ("completed", 30, 3)
    steps = await history(admin, rollout)
    assert [each["action"] for each in steps] == ["start", "advance", "advance", "complete"]
    assert [each["actor"] for each in steps[1:]] == ["controller"] * 3
    assert all("failed" in each["reason"] for each in steps[1:])
    assert {each["gate"] for each in steps[1]["evidence"]} == {"devices", "errors", "latency"}
    assert [each["revision"] for each in steps] == [1, 2, 3, 4]
    page = await admin.get(path_of(rollout, "status-history"), params={"limit": 1, "offset": 2})
    assert page.json() == [steps[2]]


async def test_a_step_begins_with_one_percent_of_the_fleet(
    admin: httpx.AsyncClient, plane: ControlPlane, model: str
):
    ids = add_devices(plane.store, plane.clock(), 300)
    rollout = await staged(
        admin, model, ids, 1,
        rollout_percentage=10, pacing={}, health_window_s=300, dwell_s=900,
    )  # fmt: skip
    await act(admin, rollout, "start")
    await steer(plane)

    present = await shown(admin, rollout)

    assert (present["rollout_percentage"], present["offered_percentage"]) == (10, 1)
    plan = plane.plans.of("default")
    told_of_it = [each for each in ids if plan.assignments(each)]
    assert told_of_it == placed(rollout["id"], ids, 0, 1)


async def test_waves_that_reach_nobody_are_not_waited_for(
    admin: httpx.AsyncClient, plane: ControlPlane, model: str
):
    who = await device(admin)
    rollout = await begun(admin, model, pacing={}, health_window_s=300, dwell_s=900)

    await steer(plane)

    offered = (await shown(admin, rollout))["offered_percentage"]
    assert placed(rollout["id"], [who[0]], 0, offered) == [who[0]], "it is not kept waiting"
    assert await told(admin, who) == ["1.0.0"]


async def test_no_rollout_takes_all_of_a_run_for_itself(
    admin: httpx.AsyncClient, plane: ControlPlane, model: str
):
    who = await device(admin)
    steps: dict[str, Any] = {"rollout_percentage": 1, "increment_step": 1, "dwell_s": 0}
    rollout = await staged(admin, model, [], **steps)
    while not placed(rollout["id"], [who[0]], 50, 100):
        await admin.delete(path_of(rollout))
        rollout = await staged(admin, model, [], **steps)
    await act(admin, rollout, "start")

    for run in (1, 2):
        await steer(plane)
        assert (await shown(admin, rollout))["step"] == 1 + run * AT_ONCE


async def test_a_plan_without_an_end_is_refused(admin: httpx.AsyncClient, model: str):
    body = {
        "version": "1.0.0", "rollout_percentage": 10,
        "pacing": {"first_percentage": 0.001, "growth": 1},
    }  # fmt: skip
    answer = await admin.post(f"{API}/models/{model}/rollouts", json=body)

    assert (answer.status_code, "more than 1,000 waves" in answer.json()["message"]) == (400, True)


async def test_who_looks_for_long_rests_for_longer(
    admin: httpx.AsyncClient, plane: ControlPlane, model: str
):
    rollout, moments, rests = await begun(admin, model), iter([100.0, 102.5]), []

    async def rest(seconds: float) -> None:
        present = await shown(admin, rollout)
        rests.append((present["offered_percentage"], seconds))

    await device(admin)
    await steer_sparingly(plane, moments.__next__, rest)

    assert rests == [(100, 2.5 * RESTS)]


async def test_without_a_confirmation_nothing_is_promoted(
    admin: httpx.AsyncClient, plane: ControlPlane, model: str, fleet: dict[str, Who]
):
    rollout = await staged(admin, model, fleet, 20)
    await act(admin, rollout, "start")
    asked = await attest(admin, those(rollout, fleet, 0, 20)[0], rollout)
    assert asked.json()["confirmed_after_s"] == 30

    plane.clock.advance(seconds=600)
    await steer(plane)

    present = await shown(admin, rollout)
    assert (present["status"], present["rollout_percentage"]) == ("active", 20)


async def test_who_falls_silent_while_it_runs_the_version_speaks_against_it(
    admin: httpx.AsyncClient, plane: ControlPlane, model: str, fleet: dict[str, Who]
):
    rollout = await staged(admin, model, fleet, 20)
    await act(admin, rollout, "start")
    took_it = those(rollout, fleet, 0, 20)
    await take(admin, rollout, took_it)

    plane.clock.advance(hours=2)
    await steer(plane)

    assert (await shown(admin, rollout))["status"] == "rolled_back"
    affected = (await admin.get(path_of(rollout, "affected-devices"))).json()
    states = {each["device_id"]: each["state"] for each in affected}
    assert states == {who[0]: DeviceState.TIMED_OUT for who in took_it}


async def test_who_a_smaller_share_leaves_out_says_nothing_any_more(
    admin: httpx.AsyncClient, plane: ControlPlane, model: str, fleet: dict[str, Who]
):
    await everywhere(admin, plane, model, fleet)
    (before,) = (await admin.get(f"{API}/models/{model}/rollouts")).json()
    rollout = await staged(admin, model, fleet, 10, 60, version="2.0.0", rollout_percentage=60)
    await act(admin, rollout, "start")
    stays, (spoke, *silent) = those(rollout, fleet, 0, 10), those(rollout, fleet, 10, 60)
    await take(admin, rollout, [*stays, spoke, *silent])
    await act(admin, rollout, "update-percentage", percentage=10)
    await attest(admin, spoke, before)  # as it was told; the others were switched off meanwhile
    plane.clock.advance(seconds=30)
    await take(admin, rollout, stays)

    plane.clock.advance(hours=2)
    await steer(plane)

    assert (await shown(admin, rollout))["status"] != "rolled_back"
    affected = (await admin.get(path_of(rollout, "affected-devices"))).json()
    assert {each["device_id"]: each["state"] for each in affected} == {
        **{who[0]: DeviceState.SUCCEEDED for who in stays},
        **{who[0]: DeviceState.SUPERSEDED for who in (spoke, *silent)},
    }


async def test_who_was_left_out_may_be_offered_it_again(
    admin: httpx.AsyncClient, plane: ControlPlane, model: str, fleet: dict[str, Who]
):
    await everywhere(admin, plane, model, fleet)
    (before,) = (await admin.get(f"{API}/models/{model}/rollouts")).json()
    rollout = await staged(admin, model, fleet, 10, 60, version="2.0.0", rollout_percentage=60)
    await act(admin, rollout, "start")
    who = those(rollout, fleet, 10, 60)[0]
    await take(admin, rollout, [who])
    await act(admin, rollout, "update-percentage", percentage=10)
    await attest(admin, who, before)
    await act(admin, rollout, "resume")
    await act(admin, rollout, "update-percentage", percentage=60)

    await attest(admin, who, before)  # it has not looked yet
    await take(admin, rollout, [who])
    plane.clock.advance(seconds=30)
    await take(admin, rollout, [who])

    (stands,) = (await admin.get(path_of(rollout, "affected-devices"))).json()
    assert (stands["device_id"], stands["state"]) == (who[0], DeviceState.SUCCEEDED)


async def test_a_breach_rolls_back_and_blocks_until_somebody_lifts_it(
    admin: httpx.AsyncClient, plane: ControlPlane, model: str, fleet: dict[str, Who]
):
    await everywhere(admin, plane, model, fleet)
    rollout = await staged(admin, model, fleet, 20, version="2.0.0")
    await act(admin, rollout, "start")
    tried = those(rollout, fleet, 0, 20)
    for each in tried:
        await attest(admin, each, rollout, status="failed", message="no", code="wrong_digest")
    plane.clock.advance(seconds=60)
    await steer(plane)

    assert (await shown(admin, rollout))["status"] == "rolled_back"
    assert await told(admin, tried[0]) == ["1.0.0"]
    *_, last = await history(admin, rollout)
    assert (last["action"], last["actor"]) == ("roll_back", "controller")
    assert f"{len(tried)} of {len(tried)} devices failed" in last["reason"]
    body = {"version": "2.0.0", "rollout_percentage": 10}
    again = await admin.post(f"{API}/models/{model}/rollouts", json=body)
    assert (again.status_code, "blocked since" in again.json()["message"]) == (409, True)
    version = f"{API}/models/{model}/versions/2.0.0"
    block = (await admin.get(f"{version}/block")).json()
    assert (block["is_blocked"], block["reason"]) == (True, last["reason"])
    for _ in range(2):  # nothing is left to lift the second time
        lifted = await admin.post(f"{version}/unblock", json={"reason": "the fleet was ill"})
        assert lifted.json()["is_blocked"] is False
    assert (await admin.post(f"{API}/models/{model}/rollouts", json=body)).status_code == 201


async def test_a_blocked_version_is_offered_by_no_earlier_rollout_either(
    admin: httpx.AsyncClient, plane: ControlPlane, model: str, fleet: dict[str, Who]
):
    await everywhere(admin, plane, model, fleet)
    at_once = {"health_window_s": 0, "dwell_s": 0, "version": "2.0.0"}
    half = await staged(admin, model, fleet, 20, **at_once, target_percentage=20)
    await act(admin, half, "start")
    took_it = those(half, fleet, 0, 20)
    await take(admin, half, took_it)
    await steer(plane)
    assert (await shown(admin, half))["status"] == "completed"
    rest = await begun(admin, model, **at_once)
    for each in fleet.values():
        await attest(admin, each, rest, status="failed", message="no", code="crashed")

    await steer(plane)

    assert (await shown(admin, rest))["status"] == "rolled_back"
    *_, last = await history(admin, half)
    assert (last["action"], last["actor"]) == ("roll_back", "controller")
    assert last["reason"] == (await history(admin, rest))[-1]["reason"]
    assert await told(admin, took_it[0]) == ["1.0.0"]
    acts = (await admin.get(f"{API}/audit", params={"limit": 500})).json()
    assert {half["id"], rest["id"]} <= {
        each["target"] for each in acts["entries"] if each["operation"] == "rollout.roll_back"
    }


@pytest.mark.parametrize("code", ["disk_full", "network_lost"])
async def test_what_is_not_the_versions_fault_does_not_speak_against_it(
    admin: httpx.AsyncClient, plane: ControlPlane, model: str, fleet: dict[str, Who], code: str
):
    rollout = await staged(admin, model, fleet, 20)
    await act(admin, rollout, "start")
    for each in those(rollout, fleet, 0, 20):
        await attest(admin, each, rollout, status="failed", message="no", code=code)
    plane.clock.advance(seconds=60)
    await steer(plane)

    assert (await shown(admin, rollout))["status"] == "active"


async def test_who_failed_by_circumstance_may_run_the_version_later(
    admin: httpx.AsyncClient, plane: ControlPlane, model: str, fleet: dict[str, Who]
):
    rollout = await staged(admin, model, fleet, 20)
    await act(admin, rollout, "start")
    took_it = those(rollout, fleet, 0, 20)
    for each in took_it:
        await attest(admin, each, rollout, status="failed", message="no", code="disk_full")
    await take(admin, rollout, took_it)
    plane.clock.advance(seconds=60)
    await take(admin, rollout, took_it)
    await steer(plane)

    assert (await shown(admin, rollout))["rollout_percentage"] == 60
    affected = (await admin.get(path_of(rollout, "affected-devices"))).json()
    assert {each["state"] for each in affected} == {DeviceState.SUCCEEDED}


async def test_a_device_that_goes_back_by_itself_speaks_against_the_version(
    admin: httpx.AsyncClient, plane: ControlPlane, model: str, fleet: dict[str, Who]
):
    await everywhere(admin, plane, model, fleet)
    (before,) = (await admin.get(f"{API}/models/{model}/rollouts")).json()
    rollout = await staged(admin, model, fleet, 20, version="2.0.0")
    await act(admin, rollout, "start")
    took_it = those(rollout, fleet, 0, 20)
    await take(admin, rollout, took_it)
    await take(admin, before, took_it)
    plane.clock.advance(seconds=60)
    await steer(plane)

    assert (await shown(admin, rollout))["status"] == "rolled_back"
    affected = (await admin.get(path_of(rollout, "affected-devices"))).json()
    states = [(each["state"], each["version"]) for each in affected]
    assert states == [(DeviceState.ROLLED_BACK, "1.0.0")] * len(took_it)


async def test_devices_that_were_broken_before_and_others_say_nothing(
    admin: httpx.AsyncClient, plane: ControlPlane, model: str, fleet: dict[str, Who]
):
    await everywhere(admin, plane, model, fleet)
    (before,) = (await admin.get(f"{API}/models/{model}/rollouts")).json()
    rollout = await staged(admin, model, fleet, 20, 100, version="2.0.0")
    await act(admin, rollout, "start")
    for each in those(rollout, fleet, 0, 20):
        await attest(admin, each, before, status="failed", message="was ill already")
        await attest(admin, each, rollout, status="failed", message="still is")
    outside = those(rollout, fleet, 20, 100)
    await attest(admin, outside[0], rollout, status="failed", message="nobody asked it")
    plane.clock.advance(seconds=60)
    await steer(plane)

    assert (await shown(admin, rollout))["status"] == "active"
    affected = (await admin.get(path_of(rollout, "affected-devices"))).json()
    assert outside[0][0] not in [each["device_id"] for each in affected]


async def test_who_says_again_what_it_runs_stays_in_the_comparison(
    admin: httpx.AsyncClient, plane: ControlPlane, model: str, fleet: dict[str, Who]
):
    await everywhere(admin, plane, model, fleet)
    (before,) = (await admin.get(f"{API}/models/{model}/rollouts")).json()
    ill, *well = fleet.values()
    await attest(admin, ill, before, status="failed", message="was ill already")
    plane.clock.advance(seconds=1)
    rollout = await begun(admin, model, "2.0.0")
    plane.clock.advance(minutes=30)
    await take(admin, before, well)
    await attest(admin, ill, before, status="failed", message="still is")
    await attest(admin, well[0], before, status="failed", message="since the step began")
    await write_last_seen(plane)

    with plane.store.snapshot("default") as tx:
        seen = observed(tx, tx.rollouts.get(model, rollout["id"]), plane.clock())

    assert (seen.baseline.devices, seen.baseline.failed) == (29, 1)


async def test_a_pause_reaches_the_next_poll_and_takes_nothing_away(
    admin: httpx.AsyncClient, plane: ControlPlane, model: str, fleet: dict[str, Who]
):
    await everywhere(admin, plane, model, fleet)
    rollout = await staged(admin, model, fleet, 20, 100, version="2.0.0")
    await act(admin, rollout, "start")
    inside, outside = those(rollout, fleet, 0, 20)[0], those(rollout, fleet, 20, 100)[0]
    known = (await assigned(admin, inside))["config_version"]

    for _ in range(2):  # paused already, this changes nothing
        paused = await act(admin, rollout, "pause", reason="let me look")
        assert (paused.status_code, paused.json()["status"]) == (200, "paused")

    under_way = (await admin.get(f"{API}/models/{model}/rollouts/active")).json()
    assert [(each["id"], each["status"]) for each in under_way] == [(rollout["id"], "paused")]
    held = await assigned(admin, inside, known)
    assert (held["updated"], held["assignments"]) == (True, [])
    assert await told(admin, outside) == ["1.0.0"]
    await take(admin, rollout, [inside])  # it had begun before the pause
    plane.clock.advance(minutes=30)
    await take(admin, rollout, [inside])
    await steer(plane)
    assert (await shown(admin, rollout))["status"] == "paused"
    assert (await act(admin, rollout, "advance")).status_code == 409
    assert (await act(admin, rollout, "resume")).json()["status"] == "active"
    assert await told(admin, inside) == ["2.0.0"]
    actions = [(each["action"], each["reason"]) for each in await history(admin, rollout)]
    assert actions == [("start", ""), ("pause", "let me look"), ("resume", "")]


async def test_people_go_beyond_the_gates(
    admin: httpx.AsyncClient, model: str, fleet: dict[str, Who]
):
    rollout = await staged(admin, model, fleet, 20, 25, 50)
    assert (await act(admin, rollout, "update-percentage", percentage=50)).status_code == 409
    share = lambda answer: (answer.status_code, answer.json().get("rollout_percentage"))  # noqa: E731

    assert share(await act(admin, rollout, "advance")) == (200, 20)
    assert share(await act(admin, rollout, "advance", custom_increment=5)) == (200, 25)
    assert (await act(admin, rollout, "advance", custom_increment=0)).status_code == 400
    wider = await act(admin, rollout, "update-percentage", percentage=50, reason="it is well")
    assert share(wider) == (200, 50)
    top = those(rollout, fleet, 20, 50)[0]
    assert await told(admin, top) == ["1.0.0"]
    assert share(await act(admin, rollout, "update-percentage", percentage=20)) == (200, 20)
    assert await told(admin, top) == []
    assert (await act(admin, rollout, "resume")).json()["status"] == "active"
    assert await told(admin, top) == []
    assert await told(admin, those(rollout, fleet, 0, 20)[0]) == ["1.0.0"]
    last = [(each["action"], each["status"]) for each in await history(admin, rollout)][-2:]
    assert last == [("lower", "paused"), ("resume", "active")]
    assert (await history(admin, rollout))[-3]["reason"] == "it is well"
    assert share(await act(admin, rollout, "advance", custom_increment=100)) == (200, 100)
    assert (await act(admin, rollout, "advance")).json()["status"] == "completed"


async def test_a_rollback_by_hand_blocks_nothing_and_reaches_what_was_before(
    admin: httpx.AsyncClient, plane: ControlPlane, model: str, fleet: dict[str, Who]
):
    await everywhere(admin, plane, model, fleet)
    second = await begun(admin, model, "2.0.0")
    await take(admin, second, list(fleet.values()))
    await steer(plane)
    who = next(iter(fleet.values()))
    assert await told(admin, who) == ["2.0.0"]

    for _ in range(2):  # of a completed one, and again
        back = await act(admin, second, "rollback", reason="by mistake")
        assert (back.status_code, back.json()["status"]) == (200, "rolled_back")

    assert await told(admin, who) == ["1.0.0"]
    assert (await act(admin, second, "start")).status_code == 409
    assert (await begun(admin, model, "2.0.0"))["status"] == "active"


async def test_steps_by_hand_alone_are_not_taken_by_themselves(
    admin: httpx.AsyncClient, plane: ControlPlane, model: str, fleet: dict[str, Who]
):
    rollout = await staged(admin, model, fleet, 20, automatic=False)
    await act(admin, rollout, "start")
    for _ in range(2):
        await take(admin, rollout, those(rollout, fleet, 0, 20))
        plane.clock.advance(seconds=60)
    await steer(plane)

    assert (await shown(admin, rollout))["rollout_percentage"] == 20


async def test_of_two_who_steer_at_once_each_sees_what_the_other_did(
    admin: httpx.AsyncClient, model: str, fleet: dict[str, Who]
):
    rollout = await staged(admin, model, fleet, 20)
    answers = await asyncio.gather(*(act(admin, rollout, "start") for _ in range(10)))

    assert {each.status_code for each in answers} == {200}
    assert [each["action"] for each in await history(admin, rollout)] == ["start"]


async def test_a_share_can_be_completed_and_the_rest_keeps_what_it_has(
    admin: httpx.AsyncClient, plane: ControlPlane, model: str, fleet: dict[str, Who]
):
    await everywhere(admin, plane, model, fleet)
    rollout = await staged(
        admin, model, fleet, 20, 100, version="2.0.0", target_percentage=20, dwell_s=0,
        health_window_s=0,
    )  # fmt: skip
    await act(admin, rollout, "start")
    inside = those(rollout, fleet, 0, 20)
    await take(admin, rollout, inside)
    await steer(plane)

    assert (await shown(admin, rollout))["status"] == "completed"
    assert await told(admin, inside[0]) == ["2.0.0"]
    assert await told(admin, those(rollout, fleet, 20, 100)[0]) == ["1.0.0"]


async def test_a_single_device_is_waited_for_only_in_the_step_that_it_is_in(
    admin: httpx.AsyncClient, plane: ControlPlane, model: str
):
    alone = await device(admin)
    rollout = await begun(admin, model, **IN_STEPS | {"start_immediately": False})
    while not placed(rollout["id"], [alone[0]], 60, 100):  # ids are drawn by chance
        await admin.delete(path_of(rollout))
        rollout = await begun(admin, model, **IN_STEPS | {"start_immediately": False})
    await act(admin, rollout, "start")

    for share in (60, 100):
        plane.clock.advance(seconds=59)
        await steer(plane)
        assert (await shown(admin, rollout))["rollout_percentage"] < share
        plane.clock.advance(seconds=1)
        await steer(plane)
        assert (await shown(admin, rollout))["rollout_percentage"] == share
    plane.clock.advance(minutes=10)
    await steer(plane)

    assert (await shown(admin, rollout))["status"] == "active"
    last = (await history(admin, rollout))[-1]
    assert (last["action"], "no device of the fleet" in last["reason"]) == ("advance", True)
    await take(admin, rollout, [alone])
    plane.clock.advance(seconds=30)
    await take(admin, rollout, [alone])
    await steer(plane)
    assert (await shown(admin, rollout))["status"] == "completed"
