"""`octomil device simulate` against a real `octomil up`."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from support.control import API, bearer, printed_key, upping
from support.model_files import safetensors_file

DEVICES = 30
AT_ONCE: dict[str, Any] = {
    "rollout_percentage": 100, "start_immediately": True, "health_window_s": 0, "dwell_s": 3600,
    "pacing": {"first_percentage": 100, "interval_s": 0},
    "gates": {"devices": {"tolerated": 0.98, "unacceptable": 0.99}},
}  # fmt: skip
"""To all devices, and no gate minds how many of them fail."""


def simulated(base_url: str, token: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """What the command does and says; every device has several turns in its time."""
    argv = [sys.executable, "-m", "octomil.cli.main", "device", "simulate", "--json"]
    argv += ["--count", str(DEVICES), "--server", base_url, "--bootstrap-token", token]
    return subprocess.run(
        [*argv, *arguments], capture_output=True, text=True, timeout=300, check=False
    )


def publish(client: httpx.Client) -> dict[str, Any]:
    """Publish 1.0.0 of a model, and offer it to all."""
    model = client.post(f"{API}/models", json={"name": "net"}).json()["id"]
    path = f"{API}/models/{model}/versions"
    files = {"file": ("net.safetensors", safetensors_file(w=[1.0]))}
    sent = client.post(f"{path}/upload", files=files, data={"version": "1.0.0"})
    assert sent.is_success, sent.text
    assert client.post(f"{path}/1.0.0/publish", json={}).is_success
    begun = client.post(f"{API}/models/{model}/rollouts", json={**AT_ONCE, "version": "1.0.0"})
    assert begun.is_success, begun.text
    return dict(begun.json())


def test_a_fleet_comes_in_runs_lies_and_says_things_twice(tmp_path: Path):
    with upping(tmp_path / "data", "--rate-limit", "off", "--failure-rate-limit", "off") as served:
        base_url = served.url
        key = printed_key(served)
        assert key is not None
        with httpx.Client(base_url=base_url, headers=bearer(key), timeout=120) as client:
            invited = {"name": "fleet", "max_uses": DEVICES, "expires_in_seconds": 3600}
            token = client.post(f"{API}/device-auth/bootstrap-tokens", json=invited).json()["token"]
            rollout = publish(client)
            done = simulated(
                base_url, token, "--turns", "10", "--seconds", "280", "--poll-interval", "0.5",
                "--offline", "0.1", "--lying", ".5", "--repeating", ".3", "--failing", "1.0.0=0.5",
            )  # fmt: skip
            assert done.returncode == 0, done.stderr
            path = f"{API}/models/{rollout['model_id']}/rollouts/{rollout['id']}"
            shown = client.get(path).json()
            page = client.get(f"{path}/affected-devices", params={"limit": 50}).json()["devices"]

    told = json.loads(done.stdout)
    failed = told["attested"].get("failed", 0)
    assert told["devices_in"] == DEVICES
    assert failed + told["running"]["net@1.0.0"] == DEVICES
    assert 0 < failed < DEVICES
    assert 0 < told["lies"] < told["running"]["net@1.0.0"]
    assert told["repeated"] > 0
    assert (shown["failed_devices"], len(page)) == (failed, DEVICES)
    assert "[simulate]" in done.stderr


@pytest.mark.parametrize("address", ["file:///etc/passwd", "ftp://127.0.0.1", "127.0.0.1"])
def test_only_http_is_asked(address: str):
    done = simulated(address, "edb_x")
    assert done.returncode != 0
    assert "is no address of a control plane" in done.stderr
    assert done.stdout == ""


def test_a_token_that_lets_nobody_in_ends_it(tmp_path: Path):
    with upping(tmp_path / "data") as served:
        done = simulated(served.url, "nothing", "--poll-interval", "0.2", "--offline", "0")
    assert done.returncode != 0
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
