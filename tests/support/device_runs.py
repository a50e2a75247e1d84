"""Running `octomil device run` to its end, and what it ran."""

import json
import subprocess
from pathlib import Path

from octomil.sdk.model_registry import ModelRegistry
from support.model_files import safetensors_file
from support.rollouts import AT_ONCE
from support.sdk import Place, octomil
from support.waiting import eventually

_PROGRAM = """
import os, signal, sys
{prelude}
import {module} as home
real = home.{name}
def killed(*words, **more):
    os.kill(os.getpid(), signal.SIGKILL)
def after(*words, **more):
    real(*words, **more)
    os.kill(os.getpid(), signal.SIGKILL)
home.{name} = {when}
from octomil.cli.main import main
sys.exit(main(sys.argv[1:]))
"""


def killed_at(module: str, name: str, when: str, prelude: str = "") -> str:
    """The program of an `octomil` that is killed at a named step.

    Args:
        module: the step's, whole.
        name: the step's in there, such as `Agent.turn`.
        when: `killed` before it, `after` it, or `real` for never.
        prelude: what the program does first.
    """
    return _PROGRAM.format(module=module, name=name, when=when, prelude=prelude)


def released(
    registry: ModelRegistry, folder: Path, number: str = "1.0.0", content: bytes = b""
) -> dict:
    """A version that is on its way to the devices."""
    model = registry.ensure_model("mnist", "pytorch", "tests")
    path = folder / f"{number}.bin"
    path.write_bytes(content or safetensors_file(w=[float(number[0])]))
    registry.upload_version_from_path(model.id, path, number)
    registry.publish_version(model.id, number)
    return registry.deploy_version(model.id, number, **AT_ONCE)


def once(place: Place, state: Path, *more: str, **env: str) -> subprocess.CompletedProcess[str]:
    words = ("device", "run", "--server", place.served.url, "--state-dir", str(state), "--once")
    return octomil(*words, *more, **env)


def first_time(place: Place, state: Path, name: str = "box-1") -> dict[str, str]:
    """Run a device for the first time, and return what is in its folder."""
    done = once(place, state, "--identifier", name, OCTOMIL_BOOTSTRAP_TOKEN=place.key)
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads((state / "identity.json").read_text())


def active(state: Path, model_id: str) -> bytes:
    return (state / "active" / model_id / "safetensors").read_bytes()


def affected(registry: ModelRegistry, rollout: dict) -> list[dict]:
    return list(registry.rollouts.get_affected_devices(rollout["model_id"], rollout["id"]))


def settled(registry: ModelRegistry, rollout: dict) -> None:
    eventually(
        lambda: registry.rollouts.get(rollout["model_id"], rollout["id"]).status == "completed"
    )
