"""Waiting for news, with processes: a control plane that holds polls, and a device that waits."""

import json
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from support.control import API, bearer
from support.device_runs import active, released
from support.model_files import safetensors_file
from support.prometheus import read_metrics
from support.sdk import Place, control_place
from support.waiting import eventually


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    """A control plane of one's own: it is stopped, and its polls are counted."""
    with control_place(tmp_path / "up") as place:
        yield place


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(2) as pool:
        yield pool


def held(place: Place) -> int:
    metrics = read_metrics(place.served.get("/metrics").text)
    return int(metrics["octomil:control_polls_held"].value())


def request_of(place: Place, identifier: str) -> tuple[str, dict[str, str]]:
    """The path and the headers of a poll that waits for a minute."""
    body = {"device_identifier": identifier, "scopes": ["devices:write", "models:read"]}
    path = f"{API}/device-auth/bootstrap"
    tokens = place.served.post(path, body, headers=bearer(place.key)).json()
    path = f"{API}/devices/{tokens['device_id']}/assignments?wait_s=60"
    return path, bearer(tokens["access_token"])


def polled(place: Place, pool: ThreadPoolExecutor, identifier: str) -> "Future[httpx.Response]":
    path, headers = request_of(place, identifier)
    return pool.submit(place.served.get, path, headers=headers)


def test_a_device_hears_of_a_release_while_it_waits(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("OCTOMIL_STATE_DIR", str(tmp_path / "state"))
    state = tmp_path / "device"
    argv = [sys.executable, "-m", "octomil.cli.main", "device", "run", "--identifier", "box-1"]
    argv += ["--server", place.served.url, "--state-dir", str(state), "--poll-interval", "60"]
    argv += ["--bootstrap-token", place.key]
    agent = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)
    try:
        eventually(lambda: held(place) == 1)
        with place.registry() as registry:
            rollout = released(registry, tmp_path)
        eventually((state / "active" / rollout.model_id / "safetensors").exists)
        assert active(state, rollout.model_id) == safetensors_file(w=[1.0])
    finally:
        agent.send_signal(signal.SIGTERM)
        lines, _ = agent.communicate(timeout=120)

    assert agent.returncode == 0, lines
    assert json.loads((state / "identity.json").read_text())["device_id"] in lines


def test_a_device_that_waits_stops_when_it_is_told_to(place: Place, tmp_path: Path):
    argv = [sys.executable, "-m", "octomil.cli.main", "device", "run", "--identifier", "box-1"]
    argv += ["--server", place.served.url, "--state-dir", str(tmp_path / "device")]
    argv += ["--poll-interval", "60", "--bootstrap-token", place.key]
    agent = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)
    try:
        eventually(lambda: held(place) == 1)
    finally:
        agent.send_signal(signal.SIGTERM)
        lines, _ = agent.communicate(timeout=120)

    assert agent.returncode == 0, lines
    assert len(lines.splitlines()) == 1  # who it is: to be told to stop is no failure
    eventually(lambda: held(place) == 0)


def test_who_hangs_up_is_forgotten_and_who_waits_goes_on(place: Place, pool: ThreadPoolExecutor):
    waits = polled(place, pool, "box-1")
    eventually(lambda: held(place) == 1)
    path, headers = request_of(place, "box-2")
    url = httpx.URL(place.served.url)
    lines = [f"GET {path} HTTP/1.1", "host: x", f"authorization: {headers['authorization']}"]
    with socket.create_connection((url.host, url.port or 80)) as connection:
        connection.sendall("\r\n".join([*lines, "", ""]).encode())
        eventually(lambda: held(place) == 2)

    eventually(lambda: held(place) == 1)
    assert not waits.done()

    assert place.served.stop() == 0
    assert waits.result().json()["updated"] is False


def test_a_drain_answers_those_who_wait(place: Place, pool: ThreadPoolExecutor):
    both = [polled(place, pool, name) for name in ("box-1", "box-2")]
    eventually(lambda: held(place) == 2)

    assert place.served.stop() == 0

    assert [each.result().status_code for each in both] == [200, 200]
    assert [each.result().json()["updated"] for each in both] == [False, False]
