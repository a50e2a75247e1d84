"""What a rollout waits for, as the replica that answers saw it last."""

from datetime import timedelta

import httpx

from octomil.control.jobs.rollouts import steer
from octomil.control.moments import shown as moment
from octomil.control.plane import ControlPlane
from support.rollouts import Who, act, everywhere, history, shown, staged, take, those


async def test_a_rollout_tells_what_it_waits_for_and_until_when(
    admin: httpx.AsyncClient, plane: ControlPlane, model: str, fleet: dict[str, Who]
):
    await everywhere(admin, plane, model, fleet)
    rollout = await staged(admin, model, fleet, 20, 60, 100, version="2.0.0")
    pending = await shown(admin, rollout)
    assert (pending["waits_for"], pending["next_at"]) == ("somebody to start it", None)

    began = plane.clock()
    await act(admin, rollout, "start")
    unseen = await shown(admin, rollout)
    assert (unseen["waits_for"], unseen["evidence"], unseen["looked_at"]) == (None, [], None)

    await steer(plane)
    without = await shown(admin, rollout)
    assert without["waits_for"] == "a verdict of the gates"
    assert without["next_at"] == moment(began + timedelta(seconds=without["patience_s"]))
    verdicts = {each["gate"]: each["verdict"] for each in without["evidence"]}
    assert verdicts == dict.fromkeys(("devices", "errors", "latency"), "inconclusive")
    assert without["looked_at"] == moment(began)


async def test_a_pause_and_a_step_by_hand_wait_for_somebody(
    admin: httpx.AsyncClient, plane: ControlPlane, model: str, fleet: dict[str, Who]
):
    await everywhere(admin, plane, model, fleet)
    by_hand = {"version": "2.0.0", "automatic": False}
    rollout = await staged(admin, model, fleet, 20, 60, 100, **by_hand)
    await act(admin, rollout, "start")
    took_it = those(rollout, fleet, 0, 20)
    await take(admin, rollout, took_it)
    plane.clock.advance(seconds=60)
    await take(admin, rollout, took_it)

    await steer(plane)
    waiting = await shown(admin, rollout)
    assert (waiting["waits_for"], waiting["next_at"]) == ("somebody to take the next step", None)
    assert waiting["evidence"][0]["verdict"] == "pass"

    await act(admin, rollout, "pause")
    assert (await shown(admin, rollout))["waits_for"] is None, "that was before the pause"
    await steer(plane)
    assert (await shown(admin, rollout))["waits_for"] == "somebody to resume it"
    await act(admin, rollout, "rollback")
    await steer(plane)

    over = await shown(admin, rollout)
    assert (over["status"], over["waits_for"]) == ("rolled_back", None)
    assert len(await history(admin, rollout)) == over["revision"]
