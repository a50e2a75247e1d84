"""A rollout whose version lost a file: asked before each wave, over HTTP and real blobs."""

import hashlib
import logging
from pathlib import Path
from typing import Any

import httpx
import pytest

from octomil.control.jobs.rollouts import steer
from octomil.control.plane import ControlPlane
from octomil.control.services.wave_files import ASKED_AGAIN, TOLD_AGAIN
from support.control import API
from support.model_files import safetensors_file
from support.registry import new_model, sent
from support.rollouts import (
    Who,
    act,
    begun,
    everywhere,
    history,
    is_well,
    published,
    shown,
    staged,
    take,
    those,
    told,
)

CONTENT = safetensors_file(w=[2.0])
DIGEST = hashlib.sha256(CONTENT).hexdigest()
"""Of the file of 2.0.0."""


@pytest.fixture
async def rollout(
    admin: httpx.AsyncClient, plane: ControlPlane, model: str, fleet: dict[str, Who]
) -> dict[str, Any]:
    """All devices run 1.0.0, and a fifth of them 2.0.0, well: the next step is due."""
    await everywhere(admin, plane, model, fleet)
    made = await staged(admin, model, fleet, 20, 60, version="2.0.0")
    await act(admin, made, "start")
    await is_well(admin, plane, made, those(made, fleet, 0, 20))
    return made


async def a_minute_later(plane: ControlPlane) -> None:
    plane.clock.advance(seconds=ASKED_AGAIN.total_seconds())
    await steer(plane)


async def looked_at_twice(plane: ControlPlane) -> None:
    await steer(plane)
    await a_minute_later(plane)


def told_of(caplog: pytest.LogCaptureFixture, rollout: dict[str, Any]) -> list[str]:
    """Why it was logged that the rollout waits, each time."""
    begin = f"the rollout {rollout['id']} waits with its next wave: "
    found = [each.message for each in caplog.records if each.message.startswith(begin)]
    return [each.removeprefix(begin) for each in found]


def blob_of(folder: Path) -> Path:
    (found,) = (folder / "blobs").rglob(DIGEST)
    return found


async def test_a_file_that_is_lost_ends_a_rollout_before_its_next_wave(
    admin: httpx.AsyncClient,
    plane: ControlPlane,
    model: str,
    fleet: dict[str, Who],
    rollout: dict[str, Any],
    tmp_path: Path,
):
    assert {tuple(await told(admin, each)) for each in fleet.values()} == {("1.0.0",), ("2.0.0",)}
    blob_of(tmp_path).unlink()

    await looked_at_twice(plane)

    assert (await shown(admin, rollout))["status"] == "failed"
    assert {tuple(await told(admin, each)) for each in fleet.values()} == {("1.0.0",)}
    *_, last = await history(admin, rollout)
    assert (last["action"], last["actor"]) == ("fail", "controller")
    assert (last["from_status"], last["status"]) == ("active", "failed")
    for word in ("'model.pt'", f"sha256:{DIGEST}", "2.0.0", "octomil fsck", "new version"):
        assert word in last["reason"]
    (noted,) = [
        each
        for each in (await admin.get(f"{API}/audit")).json()["entries"]
        if each["operation"] == "rollout.fail"
    ]
    assert (noted["actor"], noted["target"]) == ("controller", rollout["id"])
    assert (await act(admin, rollout, "rollback")).status_code == 409
    block = await admin.get(f"{API}/models/{model}/versions/2.0.0/block")
    assert block.json()["is_blocked"] is False


async def test_a_file_that_was_cut_short_is_lost_and_one_sent_again_is_rolled_out(
    admin: httpx.AsyncClient,
    plane: ControlPlane,
    model: str,
    fleet: dict[str, Who],
    rollout: dict[str, Any],
    tmp_path: Path,
):
    blob = blob_of(tmp_path)
    blob.chmod(0o600)
    blob.write_bytes(CONTENT[:-1])
    await looked_at_twice(plane)
    assert (await shown(admin, rollout))["status"] == "failed"

    assert (await sent(admin, model, CONTENT, "2.0.1")).status_code == 201
    again = await staged(admin, model, fleet, 20, 60, version="2.0.0")
    await act(admin, again, "start")
    await is_well(admin, plane, again, those(again, fleet, 0, 20))
    await steer(plane)

    present = await shown(admin, again)
    assert (present["status"], present["rollout_percentage"]) == ("active", 60)


async def test_a_file_that_is_lost_after_the_last_wave_changes_nothing(
    admin: httpx.AsyncClient,
    plane: ControlPlane,
    model: str,
    fleet: dict[str, Who],
    tmp_path: Path,
):
    rollout = await begun(admin, model, "2.0.0")
    await take(admin, rollout, list(fleet.values()))
    blob_of(tmp_path).unlink()

    for _ in range(2):  # it completes, and stays so
        await steer(plane)
        assert (await shown(admin, rollout))["status"] == "completed"

    assert {tuple(await told(admin, each)) for each in fleet.values()} == {("2.0.0",)}


async def test_files_that_are_away_for_a_moment_end_no_rollout(
    admin: httpx.AsyncClient,
    plane: ControlPlane,
    fleet: dict[str, Who],
    rollout: dict[str, Any],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
):
    blobs, aside = tmp_path / "blobs" / "sha256", tmp_path / "aside"
    blobs.rename(aside)
    blobs.mkdir()  # as where nothing is mounted
    with caplog.at_level(logging.WARNING, "octomil.control"):
        for _ in range(3):  # within the minute: it is one look
            await steer(plane)
            plane.clock.advance(seconds=1)

    waiting = await shown(admin, rollout)
    assert (waiting["status"], waiting["rollout_percentage"]) == ("active", 20)
    (why,) = told_of(caplog, rollout)
    assert why.startswith("it fails unless that changes: the file 'model.pt'")

    blobs.rmdir()
    aside.rename(blobs)
    await a_minute_later(plane)
    assert (await shown(admin, rollout))["rollout_percentage"] == 60

    await is_well(admin, plane, rollout, those(rollout, fleet, 0, 60))
    blob_of(tmp_path).unlink()
    await steer(plane)
    assert (await shown(admin, rollout))["status"] == "active", "the first miss is forgotten"
    await a_minute_later(plane)
    assert (await shown(admin, rollout))["status"] == "failed"


async def test_a_store_that_does_not_answer_between_two_misses_ends_no_rollout(
    admin: httpx.AsyncClient, plane: ControlPlane, rollout: dict[str, Any], tmp_path: Path
):
    blobs, aside = tmp_path / "blobs" / "sha256", tmp_path / "aside"
    blobs.rename(aside)
    await steer(plane)
    blobs.write_bytes(b"no folder, so that no file in it can be asked for")
    await a_minute_later(plane)
    blobs.unlink()
    await a_minute_later(plane)

    assert (await shown(admin, rollout))["status"] == "active"
    await a_minute_later(plane)
    assert (await shown(admin, rollout))["status"] == "failed"


async def test_a_file_that_cannot_be_asked_for_holds_up_its_own_rollout_alone(
    admin: httpx.AsyncClient,
    plane: ControlPlane,
    model: str,
    fleet: dict[str, Who],
    rollout: dict[str, Any],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
):
    shard = blob_of(tmp_path).parent
    shard.rename(tmp_path / "aside")
    shard.write_bytes(b"no folder, so that no file in it can be asked for")
    other_model = await new_model(admin, "other")
    for number in ("1.0.0", "3.0.0"):
        await published(admin, other_model, number)
    with caplog.at_level(logging.WARNING, "octomil.control"):
        await everywhere(admin, plane, other_model, fleet)
        other = await staged(admin, other_model, fleet, 20, 60, version="3.0.0", dwell_s=61)
        await act(admin, other, "start")
        await is_well(admin, plane, other, those(other, fleet, 0, 20))
        await steer(plane)  # the first one's files are asked for, and the other's time is not over
        plane.clock.advance(seconds=1)
        await steer(plane)

    assert (await shown(admin, rollout))["rollout_percentage"] == 20
    assert (await shown(admin, other))["rollout_percentage"] == 60
    assert len(told_of(caplog, rollout)) == 1
    assert not told_of(caplog, other)


async def test_a_wave_waits_for_a_blob_store_that_does_not_answer(
    admin: httpx.AsyncClient,
    plane: ControlPlane,
    rollout: dict[str, Any],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
):
    blobs, aside = tmp_path / "blobs" / "sha256", tmp_path / "aside"
    blobs.rename(aside)
    blobs.write_bytes(b"no folder, so that no file in it can be asked for")
    with caplog.at_level(logging.WARNING, "octomil.control"):
        for _ in range(3):
            await steer(plane)
            plane.clock.advance(seconds=ASKED_AGAIN.total_seconds())
        await steer(plane)
        assert len(told_of(caplog, rollout)) == 1
        plane.clock.advance(seconds=TOLD_AGAIN.total_seconds())
        await steer(plane)

    waiting = await shown(admin, rollout)
    assert (waiting["status"], waiting["rollout_percentage"]) == ("active", 20)
    once, again = told_of(caplog, rollout)
    assert once == again
    assert once.startswith("its files cannot be asked for: ")

    blobs.unlink()
    aside.rename(blobs)
    await steer(plane)
    assert (await shown(admin, rollout))["rollout_percentage"] == 20, "it is not asked yet"
    plane.clock.advance(seconds=ASKED_AGAIN.total_seconds())
    await steer(plane)

    assert (await shown(admin, rollout))["rollout_percentage"] == 60
