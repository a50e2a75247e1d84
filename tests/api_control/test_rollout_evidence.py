"""What devices say of a version that is rolled out, and what that says of it."""

import httpx
import pytest

from octomil.control.cursors import cursor_of
from octomil.control.jobs.catalog import drop_leftovers, write_last_seen
from octomil.control.jobs.rollouts import steer
from octomil.control.plane import ControlPlane
from octomil.control.services.leftovers import ROLLOUT_DEVICES_KEPT
from octomil.control.services.observations import observed
from octomil.rollouts.device_states import DeviceState
from support.control import API
from support.rollouts import (
    Who,
    act,
    affected_by,
    attest,
    begun,
    everywhere,
    history,
    path_of,
    shown,
    staged,
    take,
    those,
)


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
    affected = await affected_by(admin, rollout)
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
    affected = await affected_by(admin, rollout)
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

    (stands,) = await affected_by(admin, rollout)
    assert (stands["device_id"], stands["state"]) == (who[0], DeviceState.SUCCEEDED)


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
    affected = await affected_by(admin, rollout)
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
    affected = await affected_by(admin, rollout)
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
    affected = await affected_by(admin, rollout)
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


async def test_the_devices_come_page_by_page(
    admin: httpx.AsyncClient, model: str, fleet: dict[str, Who]
):
    rollout = await begun(admin, model)
    first, second, third = sorted(fleet)[:3]
    await take(admin, rollout, [fleet[each] for each in (first, second, third)])
    path, query = path_of(rollout, "affected-devices"), {"limit": 2}

    one = (await admin.get(path, params=query)).json()
    two = (await admin.get(path, params={**query, "cursor": one["next_cursor"]})).json()
    whole = (await admin.get(path, params={"limit": 3})).json()
    wrong = await admin.get(path, params={"cursor": cursor_of("id", first)})

    ids = [[each["device_id"] for each in page["devices"]] for page in (one, two, whole)]
    assert ids == [[first, second], [third], [first, second, third]]
    assert (two["next_cursor"], whole["next_cursor"]) == (None, None)
    assert (wrong.status_code, "next_cursor" in wrong.json()["message"]) == (400, True)


async def test_where_devices_stood_is_forgotten_long_after_and_what_they_run_is_not(
    admin: httpx.AsyncClient, plane: ControlPlane, model: str, fleet: dict[str, Who]
):
    await everywhere(admin, plane, model, fleet)
    (stands,) = (await admin.get(f"{API}/models/{model}/rollouts")).json()
    over = await begun(admin, model, "2.0.0")
    await take(admin, over, list(fleet.values()))
    await act(admin, over, "rollback", reason="by mistake")
    run_before = runs(plane, fleet)
    known = await history(admin, over)

    plane.clock.advance(seconds=ROLLOUT_DEVICES_KEPT.total_seconds())
    await drop_leftovers(plane)
    assert len(await affected_by(admin, over)) == len(fleet)
    plane.clock.advance(seconds=1)
    await drop_leftovers(plane)
    plane.offers.refresh()

    assert await affected_by(admin, over) == []
    assert await history(admin, over) == known
    assert len(await affected_by(admin, stands)) == len(fleet)
    assert runs(plane, fleet) == run_before == {each: ["1.0.0"] for each in fleet}


def runs(plane: ControlPlane, fleet: dict[str, Who]) -> dict[str, list[str]]:
    """What each device is told to run."""
    plan = plane.plans.of("default")
    return {each: [offer.version for offer in plan.told(each)[0]] for each in fleet}
