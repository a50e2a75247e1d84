"""The client that others have published, against `octomil up`: one session, checked step by step.

It is installed by nothing but the campaign (`python -m bench interoperability`), which says by a
variable where it is.
"""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from support.control import printed_key, upping
from support.model_files import safetensors_file

pytestmark = pytest.mark.optional

PYTHON = "OCTOMIL_TEST_PUBLISHED_CLIENT"
"""The variable that names an interpreter that has `octomil-sdk`."""

SESSION = Path(__file__).parent / "published" / "session.py"
WEIGHTS = safetensors_file(w=[1.0, 2.0])
REFUSED = {
    "download for a device": (404, "not_found"),  # it is told to take onnx, which is not there
    "optimize": (501, "not_implemented"),
    "get_device_config": (501, "not_implemented"),
    "check_compatibility": (501, "not_implemented"),
    "refresh once revoked": (401, "unauthorized"),
    "not found": (404, "not_found"),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("published")
    (folder / "weights.safetensors").write_bytes(WEIGHTS)
    return folder


@pytest.fixture(scope="module")
def steps(folder: Path) -> dict[str, dict[str, Any]]:
    """What the session told, by step."""
    python = os.environ.get(PYTHON)
    if python is None:
        pytest.skip(f"{PYTHON} names no interpreter; `make campaign` installs one")
    with upping(folder / "data") as served:
        command = [python, "-I", str(SESSION), served.url, str(printed_key(served)), str(folder)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    told = [json.loads(line) for line in done.stdout.splitlines()]
    return {line.pop("step"): line for line in told}


def test_nothing_is_refused_but_what_is_to_be(steps: dict[str, dict[str, Any]]):
    assert [step for step, told in steps.items() if "raised" in told] == []
    problems = {
        step: json.loads(told["refused"]) for step, told in steps.items() if "refused" in told
    }
    assert {step: (p["status_code"], p["error"]) for step, p in problems.items()} == REFUSED
    assert len(steps) > 35


def test_models_are_made_once_and_found(steps: dict[str, dict[str, Any]]):
    made = steps["ensure_model"]["value"]

    assert steps["ensure_model again"]["value"] == made
    assert steps["resolve_model_id"]["value"] == made["id"]
    assert steps["resolve_model_id unknown"]["value"] == "nobody"
    assert steps["list_models"]["value"] == {"models": [made]}
    assert steps["get_model"]["value"] == made
    assert steps["update_model"]["value"]["description"] == "of many mice"
    assert steps["delete_model"]["value"]["deleted"] is True


def test_versions_go_their_way(steps: dict[str, dict[str, Any]], folder: Path):
    uploaded, created = (
        steps[name]["value"] for name in ("upload_version_from_path", "create_version")
    )

    assert (uploaded["status"], created["status"]) == ("ready", "ready")
    assert uploaded["files"][0]["digest"] == created["files"][0]["digest"]
    assert steps["publish_version"]["value"]["status"] == "published"
    assert [v["version"] for v in steps["list_versions"]["value"]["versions"]] == ["1.1.0", "1.0.0"]
    assert len(steps["list_versions published"]["value"]["versions"]) == 2
    assert steps["get_latest_version"]["value"] == "1.1.0"
    assert steps["get_latest_version_info"]["value"]["version"] == "1.1.0"
    assert steps["get_version"]["value"]["version"] == "1.0.0"
    assert steps["update_version_metrics"]["value"]["metrics"] == {"accuracy": 0.9}
    assert steps["deprecate_version"]["value"]["status"] == "deprecated"
    assert Path(steps["download"]["value"]["model_path"]).read_bytes() == WEIGHTS


def test_rollouts_are_begun_listed_and_deleted(steps: dict[str, dict[str, Any]]):
    rollout = steps["create_rollout"]["value"]

    assert (rollout["status"], rollout["version"]) == ("active", "1.0.0")
    assert [each["id"] for each in steps["rollouts.list"]["value"]] == [rollout["id"]]
    assert [each["id"] for each in steps["rollouts.list_active"]["value"]] == [rollout["id"]]
    assert steps["rollouts.get"]["value"]["id"] == rollout["id"]
    assert steps["rollouts.get_affected_devices"]["value"]["devices"] == []
    assert steps["rollouts.delete"]["value"]["deleted"] is True


def test_devices_register_ask_and_use_tokens_of_their_own(steps: dict[str, dict[str, Any]]):
    registered, own = (steps[name]["value"] for name in ("register", "register by token"))
    tokens = steps["device-auth bootstrap"]["value"]

    assert registered["status"] == "active"
    assert steps["register again"]["value"]["id"] == registered["id"] != own["id"]
    assert steps["heartbeat"]["value"]["status"] == "ok"
    for asked in ("refresh", "refresh by token"):
        assert steps[asked]["value"]["assignments_changed"] is True
    assert tokens == steps["device-auth refresh"]["value"]
    assert tokens == {
        "org_id": "default",
        "device_identifier": "box-2",
        "scopes": ["devices:write"],
        "token_type": "Bearer",
    }
