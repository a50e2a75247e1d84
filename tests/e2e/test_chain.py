"""The whole line with a real model: pushed, published, rolled out, run by a device, and shown."""

import json
from pathlib import Path

import pytest

from octomil.config import Settings
from octomil.models.pull import ModelStore
from octomil.models.references import parse_reference
from octomil.models.sources.base import Silent
from support.control import bearer
from support.rollouts import AT_ONCE
from support.sdk import control_place, octomil


@pytest.mark.model
def test_a_model_goes_from_a_file_to_a_device_that_attests_it(tmp_path: Path, model_cache: None):
    source = ModelStore(Settings.from_env()).pull(parse_reference("all-minilm-l6-v2"), Silent())
    state = tmp_path / "device"
    with control_place(tmp_path / "up") as place, place.registry() as registry:
        env = {**place.env, "OCTOMIL_STATE_DIR": str(tmp_path / "state")}
        push = ("registry", "push", str(source.path), "--name", "minilm", "--version", "1.0.0")
        pushed = octomil(*push, "--publish", "--json", **env)
        assert pushed.returncode == 0, pushed.stderr
        model_id = json.loads(pushed.stdout)["model_id"]
        rollout = registry.create_rollout(model_id, "1.0.0", **AT_ONCE)

        ran = octomil(
            "device", "run", "--state-dir", str(state), "--identifier", "hospital-001", "--once",
            OCTOMIL_API_BASE=place.served.url, OCTOMIL_BOOTSTRAP_TOKEN=place.key,
        )  # fmt: skip
        assert ran.returncode == 0, ran.stdout + ran.stderr

        shown = registry.rollouts.get(model_id, rollout.id)
        page = place.served.get("/", headers=bearer(place.key)).text

    assert (shown.active_devices, shown.failed_devices) == (1, 0)
    assert json.loads(pushed.stdout)["digest"] == shown.digest == rollout.digest
    assert (state / "active" / model_id / "onnx").read_bytes() == source.path.read_bytes()
    for word in ("minilm", "hospital-001", "attested", shown.digest.removeprefix("sha256:")):
        assert word in page
