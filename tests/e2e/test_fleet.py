"""Five devices and a real ONNX model: steps, a power cut, a damaged file, a version gone bad."""

import json
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from octomil.config import Settings
from octomil.errors import ConflictError
from octomil.http.records import Record
from octomil.models.pull import ModelStore
from octomil.models.references import parse_reference
from octomil.models.sources.base import Silent
from octomil.rollouts.device_states import ON_THE_WAY
from octomil.sdk.model_registry import ModelRegistry
from support.onnx_models import heavier, relabelled
from support.rollouts import AT_ONCE, placed
from support.sdk import Place, control_place
from support.waiting import eventually

pytestmark = pytest.mark.model

NAMES = [f"ward-{number}" for number in range(1, 6)]
SMALL = ("ward-1", "ward-2")
"""Devices of little memory."""

LITTLE_BYTES = 3 << 28  # of address space: enough for the model, which takes half of it
BALLAST_BYTES = 1 << 29

BY_HAND = {
    "rollout_percentage": 20, "increment_step": 40, "dwell_s": 2, "health_window_s": 1,
    "pacing": {"first_percentage": 100, "interval_s": 0}, "automatic": False,
}  # fmt: skip
"""20, 60, 100: each step is offered at once, and only the test takes the next, however slow it is.

By themselves rollouts end: by a breach, or once all of the last step is well.
"""


@dataclass
class Device:
    """An agent and its folder."""

    place: Place
    name: str
    folder: Path
    process: subprocess.Popen[bytes] | None = None

    @property
    def id(self) -> str:
        return str(json.loads((self.folder / "identity.json").read_text())["device_id"])

    def start(self) -> None:
        argv = [sys.executable, "-m", "octomil.cli.main", "device", "run"]
        argv += ["--server", self.place.served.url, "--identifier", self.name]
        argv += ["--state-dir", str(self.folder), "--poll-interval", "0.2"]
        log = (self.folder.parent / f"{self.name}.log").open("ab")
        env = {**os.environ, "OCTOMIL_BOOTSTRAP_TOKEN": self.place.key}
        with log:
            self.process = subprocess.Popen(argv, stdout=log, stderr=log, env=env)
        if self.name in SMALL:
            resource.prlimit(self.process.pid, resource.RLIMIT_AS, (LITTLE_BYTES, LITTLE_BYTES))

    def cut_power(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def end(self) -> None:
        assert self.process is not None
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(timeout=120)

    def active(self, model_id: str) -> Path:
        return self.folder / "active" / model_id / "onnx"


@dataclass
class Fleet:
    """The devices, and what the control plane knows of them."""

    registry: ModelRegistry
    devices: dict[str, Device] = field(default_factory=dict)

    def ids(self) -> list[str]:
        return [each.id for each in self.devices.values()]

    def named(self, device_id: str) -> Device:
        return next(each for each in self.devices.values() if each.id == device_id)

    def members(self, rollout: Record, low: float, high: float) -> list[Device]:
        return [self.named(each) for each in placed(rollout.id, self.ids(), low, high)]

    def runs(self, model_id: str, content: bytes) -> bool:
        """Whether that is what every device has in use."""
        return all(each.active(model_id).read_bytes() == content for each in self.devices.values())

    def attested(self, rollout: Record) -> dict[str, tuple[str, str]]:
        """What each device that ever took a rollout's version said last of the model."""
        found = self.registry.rollouts.get_affected_devices(rollout.model_id, rollout.id)
        return {
            self.named(each.device_id).name: (each.digest, each.status)
            for each in found
            if each.state not in ON_THE_WAY
        }


@contextmanager
def fleet_of(place: Place, registry: ModelRegistry, folder: Path) -> Iterator[Fleet]:
    fleet = Fleet(registry)
    with ExitStack() as ends:
        for name in NAMES:
            fleet.devices[name] = device = Device(place, name, folder / name)
            device.start()
            ends.callback(device.end)
        for device in fleet.devices.values():
            eventually((device.folder / "identity.json").exists)
        yield fleet


@pytest.fixture
def weights(model_cache: None) -> bytes:
    found = ModelStore(Settings.from_env()).pull(parse_reference("all-minilm-l6-v2"), Silent())
    return found.path.read_bytes()


def published(registry: ModelRegistry, folder: Path, number: str, content: bytes) -> Record:
    model = registry.ensure_model("minilm", "onnx", "tests")
    path = folder / f"{number}.onnx"
    path.write_bytes(content)
    registry.upload_version_from_path(model.id, path, number)
    return registry.publish_version(model.id, number)


def planned(fleet: Fleet, model_id: str, number: str, suits: Callable[[Record], bool]) -> Record:
    """A rollout that is not begun; its id, which is drawn, says who is in which step."""
    rollouts = fleet.registry.rollouts
    while not suits(made := rollouts.create(model_id, number, **BY_HAND)):
        rollouts.delete(model_id, made.id)
    return made


def goes_by_three_steps(fleet: Fleet, rollout: Record) -> bool:
    steps = ((0, 20), (20, 60), (60, 100))
    return all(fleet.members(rollout, low, high) for low, high in steps)


def reaches_small_ones_first(fleet: Fleet, rollout: Record) -> bool:
    """Tell whether the first step has both small devices in it, and one more."""
    first = {each.name for each in fleet.members(rollout, 0, 20)}
    return first > set(SMALL) and len(first) == 3


def test_five_devices_follow_a_good_version_and_leave_a_bad_one(weights: bytes, tmp_path: Path):
    with (
        control_place(tmp_path / "up") as place,
        place.registry() as registry,
        fleet_of(place, registry, tmp_path) as fleet,
    ):
        first = published(registry, tmp_path, "1.0.0", weights)
        model_id = first.model_id
        before = registry.deploy_version(model_id, "1.0.0", **AT_ONCE)
        eventually(lambda: fleet.attested(before) == dict.fromkeys(NAMES, (first.digest, "active")))
        eventually(lambda: registry.rollouts.get(model_id, before.id).status == "completed")

        second = published(registry, tmp_path, "2.0.0", relabelled(weights, "2.0.0"))
        good = planned(fleet, model_id, "2.0.0", lambda made: goes_by_three_steps(fleet, made))
        registry.rollouts.start(model_id, good.id)
        steady = fleet.members(good, 0, 20)[0]
        eventually(lambda: fleet.attested(good).get(steady.name) == (second.digest, "active"))
        registry.rollouts.advance(model_id, good.id)
        cut = fleet.members(good, 20, 60)[0]
        cut.cut_power()
        steady.cut_power()
        damage(steady.active(model_id))
        cut.start()
        steady.start()
        assert registry.rollouts.advance(model_id, good.id).rollout_percentage == 100
        eventually(lambda: fleet.attested(good) == dict.fromkeys(NAMES, (second.digest, "active")))
        eventually(lambda: registry.rollouts.get(model_id, good.id).status == "completed")
        eventually(lambda: fleet.runs(model_id, relabelled(weights, "2.0.0")))

        published(registry, tmp_path, "3.0.0", heavier(weights, BALLAST_BYTES))
        bad = planned(fleet, model_id, "3.0.0", lambda made: reaches_small_ones_first(fleet, made))
        registry.rollouts.start(model_id, bad.id)
        eventually(lambda: registry.rollouts.get(model_id, bad.id).status == "rolled_back")
        eventually(lambda: fleet.attested(good) == dict.fromkeys(NAMES, (second.digest, "active")))
        history = registry.rollouts.get_status_history(model_id, bad.id)
        assert (history[-1].action, history[-1].actor) == ("roll_back", "controller")
        assert "devices failed" in history[-1].reason
        with pytest.raises(ConflictError, match="blocked"):
            registry.rollouts.create(model_id, "3.0.0")
        assert fleet.runs(model_id, relabelled(weights, "2.0.0"))


def damage(file: Path) -> None:
    """Change a byte in the middle, as a failing disk does."""
    target = file.resolve()
    target.chmod(0o600)
    with target.open("r+b") as opened:
        opened.seek(target.stat().st_size // 2)
        (byte,) = opened.read(1)
        opened.seek(-1, os.SEEK_CUR)
        opened.write(bytes([byte ^ 0xFF]))
