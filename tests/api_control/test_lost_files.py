"""Versions whose files are lost are sent to nobody, whoever asks: over HTTP and real blobs."""

import hashlib
from pathlib import Path
from typing import Any

import httpx
import pytest

from octomil.control.jobs.rollouts import steer
from octomil.control.plane import ControlPlane
from octomil.control.services.wave_files import ASKED_AGAIN
from support.control import API
from support.model_files import safetensors_file
from support.rollouts import (
    Who,
    act,
    begun,
    everywhere,
    history,
    path_of,
    shown,
    staged,
    take,
    those,
    told,
)

DIGEST = hashlib.sha256(safetensors_file(w=[2.0])).hexdigest()
"""Of the file of 2.0.0."""


def lose(folder: Path) -> None:
    (blob,) = (folder / "blobs").rglob(DIGEST)
    blob.unlink()


def shut(folder: Path) -> None:
    """Let none of the store's files be asked for."""
    blobs = folder / "blobs" / "sha256"
    blobs.rename(folder / "aside")
    blobs.write_bytes(b"no folder, so that no file in it can be asked for")


def body_of(number: str, **changes: Any) -> dict[str, Any]:
    return {"version": number, "rollout_percentage": 10, **changes}


def names_the_file(answer: httpx.Response) -> bool:
    message = answer.json()["message"]
    return answer.status_code == 409 and "'model.pt'" in message and DIGEST in message


@pytest.mark.parametrize("at_once", [True, False])
async def test_no_rollout_begins_whose_file_is_lost(
    admin: httpx.AsyncClient, model: str, tmp_path: Path, at_once: bool
):
    lose(tmp_path)
    body = body_of("2.0.0", start_immediately=at_once)

    assert names_the_file(await admin.post(f"{API}/models/{model}/rollouts", json=body))
    other = await admin.post(f"{API}/models/{model}/rollouts", json=body_of("1.0.0"))
    assert other.status_code == 201


@pytest.mark.parametrize("verb", ["start", "advance"])
async def test_a_pending_one_is_not_started(
    admin: httpx.AsyncClient, model: str, tmp_path: Path, verb: str
):
    rollout = await begun(admin, model, "2.0.0", start_immediately=False)
    lose(tmp_path)

    assert names_the_file(await act(admin, rollout, verb))
    assert (await shown(admin, rollout))["status"] == "pending"


async def test_no_share_grows_and_a_smaller_one_is_taken(
    admin: httpx.AsyncClient, model: str, fleet: dict[str, Who], tmp_path: Path
):
    rollout = await staged(admin, model, fleet, 20, 60, version="2.0.0")
    await act(admin, rollout, "start")
    lose(tmp_path)

    assert names_the_file(await act(admin, rollout, "update-percentage", percentage=60))
    assert names_the_file(await act(admin, rollout, "advance"))
    assert (await shown(admin, rollout))["rollout_percentage"] == 20
    lowered = await act(admin, rollout, "update-percentage", percentage=10)
    assert (lowered.status_code, lowered.json()["status"]) == (200, "paused")


async def test_a_last_step_is_not_offered_to_the_rest_of_its_devices(
    admin: httpx.AsyncClient, model: str, tmp_path: Path
):
    rollout = await begun(admin, model, "2.0.0", pacing={}, health_window_s=300, dwell_s=900)
    before = await shown(admin, rollout)
    assert before["offered_percentage"] < before["rollout_percentage"] == 100
    lose(tmp_path)

    assert names_the_file(await act(admin, rollout, "advance"))
    assert await shown(admin, rollout) == before


async def test_while_nobody_can_tell_nothing_is_begun_and_everything_may_be_ended(
    admin: httpx.AsyncClient, model: str, fleet: dict[str, Who], tmp_path: Path
):
    rollout = await staged(admin, model, fleet, 20, 60, version="2.0.0")
    await act(admin, rollout, "start")
    shut(tmp_path)

    raised = await act(admin, rollout, "update-percentage", percentage=60)
    assert (raised.status_code, "cannot be asked for" in raised.json()["message"]) == (503, True)
    for verb, body in (("update-percentage", {"percentage": 10}), ("resume", {}), ("rollback", {})):
        assert (await act(admin, rollout, verb, **body)).status_code == 200, verb


async def test_a_request_that_is_sent_again_is_answered_as_it_was(
    admin: httpx.AsyncClient, model: str, tmp_path: Path
):
    rollout = await begun(admin, model, "2.0.0", start_immediately=False)
    key = {"Idempotency-Key": "start-it"}

    first = await admin.post(path_of(rollout, "start"), headers=key)
    lose(tmp_path)
    again = await admin.post(path_of(rollout, "start"), headers=key)

    assert (first.status_code, again.status_code) == (200, 200)
    assert again.json() == first.json()


async def test_a_file_that_was_away_for_a_moment_is_looked_for_again_with_the_same_key(
    admin: httpx.AsyncClient, model: str, tmp_path: Path
):
    rollout = await begun(admin, model, "2.0.0", start_immediately=False)
    key = {"Idempotency-Key": "start-it"}
    blobs, aside = tmp_path / "blobs" / "sha256", tmp_path / "aside"
    blobs.rename(aside)
    blobs.mkdir()  # as where nothing is mounted

    refused = await admin.post(path_of(rollout, "start"), headers=key)
    blobs.rmdir()
    aside.rename(blobs)
    again = await admin.post(path_of(rollout, "start"), headers=key)

    assert (names_the_file(refused), refused.headers["retry-after"]) == (True, "60")
    assert (again.status_code, again.json()["status"]) == (200, "active")


async def test_what_was_completed_with_a_file_stays_when_a_later_rollout_loses_it(
    admin: httpx.AsyncClient,
    plane: ControlPlane,
    model: str,
    fleet: dict[str, Who],
    tmp_path: Path,
):
    await everywhere(admin, plane, model, fleet)
    at_once = {"health_window_s": 0, "dwell_s": 0, "version": "2.0.0"}
    half = await staged(admin, model, fleet, 20, **at_once, target_percentage=20)
    await act(admin, half, "start")
    took_it = those(half, fleet, 0, 20)
    await take(admin, half, took_it)
    await steer(plane)
    assert (await shown(admin, half))["status"] == "completed"
    rest = await staged(admin, model, fleet, 20, 60, version="2.0.0")
    await act(admin, rest, "start")
    new = those(rest, fleet, 0, 20)
    await take(admin, rest, new)
    plane.clock.advance(seconds=60)
    await take(admin, rest, new)
    lose(tmp_path)

    await steer(plane)
    plane.clock.advance(seconds=ASKED_AGAIN.total_seconds())
    await steer(plane)

    assert (await shown(admin, half))["status"] == "completed"
    assert (await shown(admin, rest))["status"] == "failed"
    *_, last = await history(admin, rest)
    assert (last["action"], last["actor"]) == ("fail", "controller")
    assert "'model.pt'" in last["reason"]
    for who in fleet.values():
        assert await told(admin, who) == ["2.0.0" if who in took_it else "1.0.0"]
    failed = {
        each["target"]
        for each in (await admin.get(f"{API}/audit", params={"limit": 500})).json()["entries"]
        if each["operation"] == "rollout.fail"
    }
    assert failed == {rest["id"]}
