"""`octomil device run` against a real `octomil up`."""

import base64
import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from octomil.registry.signatures import key_id_of, new_private_key, public_key_of
from octomil.sdk.model_registry import ModelRegistry
from support.control import API, bearer
from support.device_runs import active, affected, first_time, killed_at, once, released, settled
from support.model_files import safetensors_file, torch_file
from support.round_robin import round_robin
from support.sdk import Place, control_place, octomil
from support.waiting import eventually


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    """A control plane of one's own: a rollout reaches every device of it."""
    with control_place(tmp_path / "up") as place:
        yield place


@pytest.fixture
def registry(place: Place) -> Iterator[ModelRegistry]:
    with place.registry() as registry:
        yield registry


def test_it_runs_what_it_is_told_and_says_so(place: Place, registry: ModelRegistry, tmp_path: Path):
    rollout = released(registry, tmp_path)
    state = tmp_path / "device"

    identity = first_time(place, state)

    assert active(state, rollout.model_id) == safetensors_file(w=[1.0])
    (attested,) = affected(registry, rollout)
    assert attested.device_id == identity["device_id"]
    assert (attested.digest, attested.status) == (rollout.digest, "active")
    assert state.stat().st_mode & 0o077 == 0
    device = registry._api.get(f"/devices/{identity['device_id']}")
    assert device.device_identifier == "box-1"
    assert device.capabilities["memory_bytes"] > 0


def test_it_needs_the_bootstrap_token_once(place: Place, registry: ModelRegistry, tmp_path: Path):
    state = tmp_path / "device"
    before = first_time(place, state)
    rollout = released(registry, tmp_path)

    done = once(place, state)

    assert done.returncode == 0, done.stdout + done.stderr
    assert active(state, rollout.model_id) == safetensors_file(w=[1.0])
    assert json.loads((state / "identity.json").read_text())["device_id"] == before["device_id"]


def test_a_bootstrap_token_of_a_fleet_is_enough(
    place: Place, registry: ModelRegistry, tmp_path: Path
):
    rollout = released(registry, tmp_path)
    path = f"{API}/device-auth/bootstrap-tokens"
    body = {"name": "line 1", "device_scopes": ["devices:write", "models:read"]}
    token = place.served.post(path, body, headers=bearer(place.key)).json()["token"]

    done = once(place, tmp_path / "device", "--identifier", "b", "--bootstrap-token", token)

    assert done.returncode == 0, done.stdout + done.stderr
    assert [each.status for each in affected(registry, rollout)] == ["active"]


def test_devices_are_invited_on_the_command_line(place: Place, tmp_path: Path):
    invited = octomil("device", "invite", "line 1", "--devices", "2", **place.env)
    token = invited.stdout.strip()
    names = ("b1", "b2", "b3")

    done = [
        once(place, tmp_path / name, "--identifier", name, OCTOMIL_BOOTSTRAP_TOKEN=token)
        for name in names
    ]

    assert "only time" in invited.stderr
    assert (invited.stdout + invited.stderr).count("obt_") == 1, "the id looks like the token"
    assert [each.returncode for each in done] == [0, 0, 1]
    assert "used up" in done[2].stderr


def test_a_wrong_token_ends_it_with_a_reason(place: Place, tmp_path: Path):
    done = once(place, tmp_path / "device", "--bootstrap-token", "edg_wrong")

    assert done.returncode == 1
    assert "API key or device token" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_folder_belongs_to_one_device(place: Place, tmp_path: Path):
    state = tmp_path / "device"
    first_time(place, state)

    done = once(place, state, "--identifier", "box-2", OCTOMIL_BOOTSTRAP_TOKEN=place.key)

    assert done.returncode == 1
    assert "--state-dir" in done.stderr


def test_the_next_version_takes_the_place_of_the_one_before(
    place: Place, registry: ModelRegistry, tmp_path: Path
):
    state = tmp_path / "device"
    first = released(registry, tmp_path)
    first_time(place, state)
    settled(registry, first)
    second = released(registry, tmp_path, "2.0.0")

    assert once(place, state).returncode == 0

    assert active(state, second.model_id) == safetensors_file(w=[2.0])
    both = {first.digest[7:], second.digest[7:]}
    assert {each.name for each in (state / "releases").iterdir()} == both
    assert [each.status for each in affected(registry, second)] == ["active"]


def test_a_rollback_of_the_control_plane_s_own_is_followed(
    place: Place, registry: ModelRegistry, tmp_path: Path
):
    state = tmp_path / "device"
    first = released(registry, tmp_path)
    first_time(place, state)
    settled(registry, first)
    second = released(registry, tmp_path, "2.0.0")
    assert once(place, state).returncode == 0

    registry.rollouts.delete(second["model_id"], second["id"], force=True)
    done = once(place, state)

    assert done.returncode == 0, done.stdout + done.stderr
    assert active(state, first.model_id) == safetensors_file(w=[1.0])


def test_an_assignment_older_than_the_last_is_not_followed(
    place: Place, registry: ModelRegistry, tmp_path: Path
):
    """As from somebody in between who has kept it."""
    state = tmp_path / "device"
    rollout = released(registry, tmp_path)
    first_time(place, state)
    later = {"sequence": 2**53, "digest": rollout.digest}
    (state / "assignments.json").write_text(json.dumps({rollout.model_id: later}))

    done = once(place, state)

    assert done.returncode == 1
    assert "older" in done.stdout
    assert [each.status for each in affected(registry, rollout)] == ["active"]


def test_a_release_that_was_damaged_here_is_mended(
    place: Place, registry: ModelRegistry, tmp_path: Path
):
    rollout = released(registry, tmp_path)
    state = tmp_path / "device"
    first_time(place, state)
    (state / "active" / rollout.model_id / "safetensors").write_bytes(b"rust")

    assert once(place, state).returncode == 0

    assert active(state, rollout.model_id) == safetensors_file(w=[1.0])


def test_what_another_key_signed_is_not_run(place: Place, registry: ModelRegistry, tmp_path: Path):
    state = tmp_path / "device"
    released(registry, tmp_path)
    first_time(place, state)
    settled(registry, registry.rollouts.list(registry.resolve_model_id("mnist"))[0])
    other = {"ab" * 8: "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="}
    (state / "keys.json").write_text(json.dumps(other))
    second = released(registry, tmp_path, "2.0.0")

    done = once(place, state)

    assert done.returncode == 1
    assert active(state, second.model_id) == safetensors_file(w=[1.0])
    (attested,) = affected(registry, second)
    assert attested.status == "failed"
    assert "trusts" in attested.message


def test_it_follows_from_a_key_that_it_trusts_to_those_that_took_its_place(
    place: Place, registry: ModelRegistry, tmp_path: Path
):
    """Two rotations are between the version that it has and the next one."""
    state = tmp_path / "device"
    first = released(registry, tmp_path)
    first_time(place, state)
    settled(registry, first)
    for _ in range(2):
        assert octomil("keys", "rotate-signing", **place.env).returncode == 0
    second = released(registry, tmp_path, "2.0.0")

    done = once(place, state)

    assert done.returncode == 0, done.stdout + done.stderr
    assert active(state, second.model_id) == safetensors_file(w=[2.0])
    assert len(json.loads((state / "keys.json").read_text())) == 3


def test_a_new_device_runs_what_a_retired_key_signed(
    place: Place, registry: ModelRegistry, tmp_path: Path
):
    rollout = released(registry, tmp_path)
    assert octomil("keys", "rotate-signing", **place.env).returncode == 0

    first_time(place, tmp_path / "device")

    assert active(tmp_path / "device", rollout.model_id) == safetensors_file(w=[1.0])


def test_a_key_that_nobody_endorsed_is_not_learnt(
    place: Place, registry: ModelRegistry, tmp_path: Path
):
    """As after a first contact with another control plane: what is listed here proves nothing."""
    state = tmp_path / "device"
    released(registry, tmp_path)
    first_time(place, state)
    settled(registry, registry.rollouts.list(registry.resolve_model_id("mnist"))[0])
    stranger = public_key_of(new_private_key())
    kept = {key_id_of(stranger): base64.b64encode(stranger).decode()}
    (state / "keys.json").write_text(json.dumps(kept))
    assert octomil("keys", "rotate-signing", **place.env).returncode == 0
    second = released(registry, tmp_path, "2.0.0")

    done = once(place, state)

    assert done.returncode == 1
    assert "endorsed" in done.stdout
    assert active(state, second.model_id) == safetensors_file(w=[1.0])
    assert json.loads((state / "keys.json").read_text()) == kept


@contextmanager
def running_device(
    place: Place, state: Path, *more: str
) -> Iterator[tuple[subprocess.Popen[str], Path]]:
    """Run a device until the block ends; yields the process, and where it logs."""
    log = state.with_name("device.log")
    words = [sys.executable, "-m", "octomil.cli.main", "device", "run", "--server"]
    with log.open("w") as out:
        process = subprocess.Popen(
            [*words, place.served.url, "--state-dir", str(state), "--poll-interval", "0.1", *more],
            stdout=out, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
    try:
        yield process, log
    finally:
        process.kill()
        process.wait(120)


def test_it_follows_as_long_as_it_runs_and_ends_when_asked(
    place: Place, registry: ModelRegistry, tmp_path: Path
):
    state = tmp_path / "device"
    with running_device(place, state, "--identifier", "box-1", "--bootstrap-token", place.key) as (
        process,
        _,
    ):
        eventually((state / "identity.json").exists)
        first = released(registry, tmp_path)
        settled(registry, first)
        second = released(registry, tmp_path, "2.0.0")
        settled(registry, second)
        assert "used by another" in once(place, state).stderr
        process.send_signal(signal.SIGTERM)
        assert process.wait(120) == 0

    assert active(state, second.model_id) == safetensors_file(w=[2.0])


def test_a_device_outlives_its_control_plane(tmp_path: Path):
    state, folder, urls = tmp_path / "device", tmp_path / "up", []
    with round_robin(urls) as proxy:
        with control_place(folder) as first:
            urls.append(first.served.url)
            place = replace(first, served=replace(first.served, url=proxy.url))
            with place.registry() as registry:
                rollout = released(registry, tmp_path)
            first_time(place, state)
        with running_device(place, state) as (_, log):
            eventually(lambda: "no control plane answers" in log.read_text())
            urls.clear()
            with control_place(folder, key=place.key) as again, again.registry() as registry:
                urls.append(again.served.url)
                eventually(lambda: f"runs, {rollout.digest}" in log.read_text())
                assert registry.rollouts.get(rollout.model_id, rollout.id).active_devices == 1


def test_a_device_that_came_after_a_backup_comes_in_again(tmp_path: Path):
    state, folder, urls = tmp_path / "device", tmp_path / "up", []
    copy, restored = tmp_path / "copy", tmp_path / "restored"
    with round_robin(urls) as proxy:
        with control_place(folder) as first:
            urls.append(first.served.url)
            place = replace(first, served=replace(first.served, url=proxy.url))
            with place.registry() as registry:
                rollout = released(registry, tmp_path)
            assert octomil("backup", str(folder), str(copy)).returncode == 0
            before = first_time(place, state)
        assert octomil("restore", str(copy), str(restored)).returncode == 0
        urls.clear()
        with control_place(restored, key=place.key) as again, again.registry() as registry:
            urls.append(again.served.url)

            after = first_time(place, state)

            (attested,) = affected(registry, rollout)
    assert attested.device_id == after["device_id"] != before["device_id"]
    assert after["device_identifier"] == before["device_identifier"]


HELD = """
import time
def held(*words, **more):
    time.sleep(3600)
"""
"""Lets an agent stop at a step, until it is killed."""


def test_people_see_who_is_downloading(place: Place, registry: ModelRegistry, tmp_path: Path):
    rollout = released(registry, tmp_path)
    state = tmp_path / "device"
    program = killed_at("octomil.sdk.downloads", "Downloader.fetch", "held", prelude=HELD)
    words = ["device", "run", "--server", place.served.url, "--state-dir", str(state)]
    named = ["--identifier", "box-1", "--bootstrap-token", place.key]
    process = subprocess.Popen([sys.executable, "-c", program, *words, *named])
    try:
        eventually(lambda: affected(registry, rollout))
        (device,) = affected(registry, rollout)
        listed = octomil("rollouts", "devices", "mnist", **place.env)
    finally:
        process.kill()
        process.wait(120)

    assert (device.state, device.digest) == ("downloading", None)
    assert [line.split()[1] for line in listed.stdout.splitlines()[1:]] == ["downloading"]
    assert once(place, state).returncode == 0
    (device,) = affected(registry, rollout)
    assert (device.state, device.digest) == ("succeeded", rollout.digest)


POINTS = [
    ("session", "Session._keep", "killed"),
    ("session", "Session._keep", "after"),
    ("trust", "TrustedKeys._keep", "killed"),
    ("trust", "TrustedKeys._keep", "after"),
    ("assignments", "AcceptedAssignments._remember", "killed"),
    ("assignments", "AcceptedAssignments._remember", "after"),
    ("releases", "write_json", "killed"),
    ("releases", "write_json", "after"),
    ("releases", "Downloader.fetch", "killed"),
    ("releases", "Downloader.fetch", "after"),
    ("state", "StateFolder.install", "killed"),
    ("state", "StateFolder.install", "after"),
    ("smoke.smoke_test", "SmokeTest.__call__", "killed"),
    ("smoke.smoke_test", "SmokeTest.__call__", "after"),
    ("slots", "SlotBook._keep", "killed"),
    ("slots", "SlotBook._keep", "after"),
    ("activation", "LinkActivator.activate", "killed"),
    ("activation", "LinkActivator.activate", "after"),
    ("agent", "Agent._attest", "killed"),
    ("agent", "Agent._attest", "after"),
]


@pytest.mark.slow
@pytest.mark.parametrize(("module", "name", "when"), POINTS)
def test_a_kill_at_any_point_leaves_a_device_that_goes_on(
    place: Place, registry: ModelRegistry, tmp_path: Path, module: str, name: str, when: str
):
    rollout = released(registry, tmp_path)
    state = tmp_path / "device"
    words = ["device", "run", "--server", place.served.url, "--state-dir", str(state), "--once",
             "--identifier", "box-1", "--bootstrap-token", place.key]  # fmt: skip
    program = killed_at(f"octomil.device.{module}", name, when)
    done = subprocess.run(
        [sys.executable, "-c", program, *words], capture_output=True, timeout=120, check=False
    )
    assert done.returncode == -signal.SIGKILL, done.stdout + done.stderr
    link = state / "active" / rollout.model_id
    assert not link.exists() or active(state, rollout.model_id) == safetensors_file(w=[1.0])

    again = octomil(*words)

    assert again.returncode == 0, again.stdout + again.stderr
    assert active(state, rollout.model_id) == safetensors_file(w=[1.0])
    assert [each.status for each in affected(registry, rollout)] == ["active"]
    assert list((state / "incoming").iterdir()) == []


def test_a_pickle_is_kept_and_never_loaded(place: Place, registry: ModelRegistry, tmp_path: Path):
    content = torch_file()
    rollout = released(registry, tmp_path, content=content)
    state = tmp_path / "device"

    first_time(place, state)

    release = state / "active" / rollout.model_id
    assert (release / "pytorch").read_bytes() == content
