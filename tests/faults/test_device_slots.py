"""A device ends on a whole release, the new or the old, wherever it is killed or runs out of disk.

Real processes, a real control plane, real disks.
"""

import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from octomil.sdk.model_registry import ModelRegistry
from support.device_runs import active, affected, first_time, killed_at, once, released, settled
from support.disks import fill, small_disk
from support.model_files import safetensors_file
from support.onnx_models import runnable_onnx
from support.rollouts import AT_ONCE
from support.sdk import Place, control_place

SICK = """
from octomil.device.activation import LinkActivator
def problem(self, model_id):
    return "it answers nothing" if self.running(model_id) == "{digest}" else None
LinkActivator.problem = problem
"""
"""Lets an agent find a release sick."""

POINTS = [
    ("slots", "SlotBook.reject", "killed"),
    ("slots", "SlotBook.reject", "after"),
    ("activation", "LinkActivator.activate", "killed"),
    ("activation", "LinkActivator.activate", "after"),
    ("slots", "SlotBook.forget_previous", "after"),
    ("attestations", "Attestations.post", "killed"),
    ("attestations", "Attestations.post", "after"),
    ("slots", "SlotBook.told", "killed"),
    ("slots", "SlotBook.told", "after"),
    ("releases", "Releases.keep_only", "after"),
]


@dataclass(frozen=True)
class Fleet:
    """A control plane with one device, which runs 1.0.0."""

    place: Place
    registry: ModelRegistry
    state: Path
    first: dict

    def run_sick(
        self, digest: str, module: str, name: str, when: str
    ) -> subprocess.CompletedProcess[str]:
        sick = SICK.format(digest=digest)
        program = killed_at(f"octomil.device.{module}", name, when, prelude=sick)
        words = ["device", "run", "--server", self.place.served.url, "--state-dir", str(self.state)]
        return subprocess.run(
            [sys.executable, "-c", program, *words, "--once"],
            capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Fleet]:
    with control_place(tmp_path / "up") as place, place.registry() as registry:
        first = released(registry, tmp_path)
        first_time(place, tmp_path / "device")
        settled(registry, first)
        yield Fleet(place, registry, tmp_path / "device", first)


@pytest.mark.slow
@pytest.mark.parametrize(("module", "name", "when"), POINTS)
def test_a_kill_on_the_way_back_ends_on_what_ran_before(
    fleet: Fleet, tmp_path: Path, module: str, name: str, when: str
):
    second = released(fleet.registry, tmp_path, "2.0.0")
    assert once(fleet.place, fleet.state).returncode == 0
    assert active(fleet.state, second.model_id) == safetensors_file(w=[2.0])
    settled(fleet.registry, second)  # else it may be rolled back meanwhile, and not be wanted

    killed = fleet.run_sick(second.digest, module, name, when)
    assert killed.returncode == -signal.SIGKILL, killed.stdout + killed.stderr
    assert active(fleet.state, second.model_id) in map(weights, (1.0, 2.0))
    again = fleet.run_sick(second.digest, "slots", "SlotBook.all", "real")

    assert again.returncode == 1, again.stdout + again.stderr
    assert active(fleet.state, second.model_id) == weights(1.0)
    assert [each.name for each in (fleet.state / "releases").iterdir()] == [fleet.first.digest[7:]]
    (device,) = affected(fleet.registry, second)
    assert (device.status, device.digest) == ("active", fleet.first.digest)


def weights(number: float, count: int = 1) -> bytes:
    return safetensors_file(w=[number] * count)


def test_a_release_that_fails_its_smoke_test_never_runs_and_the_control_plane_hears_why(
    fleet: Fleet, tmp_path: Path
):
    second = released(fleet.registry, tmp_path, "2.0.0", safetensors_file(w=[float("nan")]))

    done = once(fleet.place, fleet.state)

    assert done.returncode == 1, done.stdout + done.stderr
    assert active(fleet.state, second.model_id) == weights(1.0)
    (device,) = affected(fleet.registry, second)
    assert (device.status, device.digest) == ("failed", second.digest)
    assert "'w' has values that are not numbers" in device.message


def test_a_full_disk_is_refused_and_what_runs_goes_on(fleet: Fleet, tmp_path: Path):
    place, registry = fleet.place, fleet.registry
    with small_disk(tmp_path / "small", 4) as disk:
        state = disk / "device"
        first_time(place, state, "box-2")
        second = released(registry, tmp_path, "2.0.0", safetensors_file(w=[2.0] * 65_536))
        ballast = fill(disk)

        refused = once(place, state)

        assert refused.returncode == 1, refused.stdout + refused.stderr
        assert "is full" in refused.stdout + refused.stderr
        assert active(state, second.model_id) == weights(1.0)

        ballast.unlink()
        done = once(place, state)
        assert done.returncode == 0, done.stdout + done.stderr
        assert active(state, second.model_id) == safetensors_file(w=[2.0] * 65_536)


def test_what_ran_before_makes_room_for_what_is_next(tmp_path: Path):
    """Two of them fit on the disk, three do not."""
    contents = {f"{number}.0.0": weights(number, 400_000) for number in (1, 2, 3)}
    with (
        control_place(tmp_path / "up") as place,
        place.registry() as registry,
        small_disk(tmp_path / "small", 4) as disk,
    ):
        state, digests = disk / "device", []
        for version, content in contents.items():
            rollout = released(registry, tmp_path, version, content)
            digests.append(rollout.digest[7:])
            if state.exists():
                done = once(place, state)
                assert done.returncode == 0, done.stdout + done.stderr
            else:
                first_time(place, state)
            assert active(state, rollout.model_id) == content
            settled(registry, rollout)

        assert {each.name for each in (state / "releases").iterdir()} == set(digests[1:])


CUT = ["slots.json", "incoming", "releases/{new}/safetensors", "releases/{new}/manifest.json",
       "releases/{old}/safetensors", "releases/{old}/manifest.json"]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("path", CUT)
def test_files_that_a_loss_of_power_cut_are_mended_before_anything_runs(
    fleet: Fleet, tmp_path: Path, path: str
):
    """As disks do that lie about what they have written."""
    second = released(fleet.registry, tmp_path, "2.0.0")
    state, old, new = fleet.state, fleet.first.digest[7:], second.digest[7:]
    if path == "incoming":
        half = state / "incoming" / new
        half.mkdir()
        (half / "safetensors").write_bytes(weights(2.0)[:-3])
        (half / "manifest.json").write_bytes(b"{")
    else:
        assert once(fleet.place, state).returncode == 0
        cut = state / path.format(old=old, new=new)
        cut.chmod(0o600)
        cut.write_bytes(cut.read_bytes()[:-3])

    done = once(fleet.place, state)

    assert done.returncode == 0, done.stdout + done.stderr
    assert active(state, second.model_id) == weights(2.0)
    (device,) = affected(fleet.registry, second)
    assert (device.status, device.digest) == ("active", second.digest)


def test_a_first_release_that_fails_in_its_runtime_is_not_activated(fleet: Fleet, tmp_path: Path):
    path, registry = tmp_path / "model.onnx", fleet.registry
    path.write_bytes(runnable_onnx("Acosh"))
    model = registry.ensure_model("sensor", "onnx", "tests")
    registry.upload_version_from_path(model.id, path, "1.0.0")
    registry.publish_version(model.id, "1.0.0")
    broken = registry.deploy_version(model.id, "1.0.0", **AT_ONCE)

    done = once(fleet.place, fleet.state)

    assert done.returncode == 1, done.stdout + done.stderr
    assert not (fleet.state / "active" / model.id).exists()
    (device,) = affected(registry, broken)
    assert "output 'y' has values that are not numbers" in device.message
