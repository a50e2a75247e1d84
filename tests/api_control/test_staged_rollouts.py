"""Rollouts in steps over HTTP: shares, waves, and what each waits for."""

from typing import Any

import httpx

from octomil.control.jobs.rollouts import AT_ONCE, RESTS, Steering, steer
from octomil.control.plane import ControlPlane
from support.control import API
from support.rollouts import (
    IN_STEPS,
    Who,
    act,
    add_devices,
    begun,
    device,
    everywhere,
    history,
    path_of,
    placed,
    shown,
    staged,
    take,
    those,
    told,
)


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
    told_of_it = [each for each in ids if plan.told(each)[0]]
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
    await Steering(plane, moments.__next__, rest).look_sparingly()

    assert rests == [(100, 2.5 * RESTS)]


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
