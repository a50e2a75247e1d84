"""What stops a rollout or goes beyond its gates: breaches, blocks, pauses, people."""

import asyncio
from datetime import datetime

import httpx
import pytest

from octomil.control.jobs.rollouts import steer
from octomil.control.plane import ControlPlane
from octomil.control.ports import Transaction
from octomil.control.records import Rollout
from octomil.control.services import observations
from octomil.control.services.paused_looks import ASKED_AGAIN
from octomil.rollouts.evidence import Observation
from support.control import API
from support.rollouts import (
    Who,
    act,
    assigned,
    attest,
    begun,
    everywhere,
    history,
    shown,
    staged,
    take,
    those,
    told,
)


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
    assert (held["updated"], held["assignments"], held["held"]) == (True, [], [rollout["digest"]])
    assert (await assigned(admin, inside, held["config_version"]))["held"] == []
    assert await told(admin, outside) == ["1.0.0"]
    assert (await assigned(admin, outside))["held"] == []
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


async def test_the_fleet_is_read_for_a_pause_where_something_may_follow(
    admin: httpx.AsyncClient,
    plane: ControlPlane,
    model: str,
    fleet: dict[str, Who],
    monkeypatch: pytest.MonkeyPatch,
):
    await everywhere(admin, plane, model, fleet)
    rollout = await staged(admin, model, fleet, 60, version="2.0.0", rollout_percentage=60)
    await act(admin, rollout, "start")
    took_it = those(rollout, fleet, 0, 60)
    await take(admin, rollout, took_it)
    await act(admin, rollout, "pause")
    looks = looks_at_the_fleet(monkeypatch)

    for expected in (1, 1, 1):
        await steer(plane)
        assert looks == [rollout["id"]] * expected
    plane.clock.advance(seconds=ASKED_AGAIN.total_seconds())
    await steer(plane)
    assert len(looks) == 2, "time passed"
    for each in took_it:
        await attest(admin, each, rollout, status="failed", message="no", code="crashed")
    plane.clock.advance(seconds=1)
    await steer(plane)

    assert len(looks) == 3, "devices moved"
    assert (await shown(admin, rollout))["status"] == "rolled_back"
    *_, last = await history(admin, rollout)
    assert (last["action"], last["from_status"], last["actor"]) == (
        "roll_back", "paused", "controller",
    )  # fmt: skip


async def test_a_breach_that_time_makes_during_a_pause_is_found_within_a_minute(
    admin: httpx.AsyncClient, plane: ControlPlane, model: str, fleet: dict[str, Who]
):
    """Nobody who took the version moves: that the step was offered for long enough does it."""
    await everywhere(admin, plane, model, fleet)
    rollout = await begun(admin, model, "2.0.0", dwell_s=60)
    *well, ill, broken = list(fleet.values())[:4]
    await take(admin, rollout, well)
    for each in (ill, broken):
        await attest(admin, each, rollout, status="failed", message="no", code="crashed")
    await act(admin, rollout, "pause")
    await steer(plane)
    assert (await shown(admin, rollout))["status"] == "paused", "it is too early to tell"

    plane.clock.advance(seconds=60)
    await steer(plane)

    assert (await shown(admin, rollout))["status"] == "rolled_back"


def looks_at_the_fleet(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The rollouts for which the whole fleet is read from now on, as it happens."""
    looks = []
    whole = observations.observed

    def counted(tx: Transaction, rollout: Rollout, now: datetime) -> Observation:
        looks.append(rollout.id)
        return whole(tx, rollout, now)

    monkeypatch.setattr(observations, "observed", counted)
    return looks


async def test_people_go_beyond_the_gates(
    admin: httpx.AsyncClient, model: str, fleet: dict[str, Who]
):
    rollout = await staged(admin, model, fleet, 20, 25, 50)
    assert (await act(admin, rollout, "update-percentage", percentage=50)).status_code == 409

    def share(answer: httpx.Response) -> tuple[int, float]:
        return answer.status_code, answer.json().get("rollout_percentage")

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


@pytest.mark.parametrize("state", ["pending", "active", "paused"])
async def test_a_version_that_is_under_way_is_not_deprecated_nor_removed(
    admin: httpx.AsyncClient, plane: ControlPlane, model: str, fleet: dict[str, Who], state: str
):
    await everywhere(admin, plane, model, fleet)
    rollout = await staged(admin, model, fleet, 20, version="2.0.0")
    for verb in {"pending": (), "active": ("start",), "paused": ("start", "pause")}[state]:
        await act(admin, rollout, verb)
    version = f"{API}/models/{model}/versions/2.0.0"
    run_before = {each: tuple(await told(admin, who)) for each, who in fleet.items()}

    refused = await admin.post(f"{version}/deprecate", json={})
    kept = [await admin.delete(path) for path in (version, f"{API}/models/{model}")]

    assert (refused.status_code, [each.status_code for each in kept]) == (409, [409, 409])
    message = refused.json()["message"]
    assert f"the rollout {rollout['id']} is {state}" in message
    assert f"/rollouts/{rollout['id']}/rollback" in message
    assert all(rollout["id"] in each.json()["message"] for each in kept)
    assert (await shown(admin, rollout))["status"] == state
    assert {each: tuple(await told(admin, who)) for each, who in fleet.items()} == run_before

    assert (await act(admin, rollout, "rollback")).status_code == 200
    done = await admin.post(f"{version}/deprecate", json={})
    assert done.json()["status"] == "deprecated"
    assert {tuple(await told(admin, who)) for who in fleet.values()} == {("1.0.0",)}


async def test_a_version_that_was_deprecated_stays_where_it_runs_and_goes_nowhere_else(
    admin: httpx.AsyncClient, plane: ControlPlane, model: str, fleet: dict[str, Who]
):
    await everywhere(admin, plane, model, fleet)
    deprecated = await admin.post(f"{API}/models/{model}/versions/1.0.0/deprecate", json={})
    assert deprecated.status_code == 200

    second = await begun(admin, model, "2.0.0")
    await act(admin, second, "rollback")

    assert {tuple(await told(admin, who)) for who in fleet.values()} == {("1.0.0",)}
    body = {"version": "1.0.0", "rollout_percentage": 10}
    again = await admin.post(f"{API}/models/{model}/rollouts", json=body)
    assert (again.status_code, "only published ones" in again.json()["message"]) == (409, True)
