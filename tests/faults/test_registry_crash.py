"""A control plane that is killed forgets no version it published, and no event of what it did."""

import base64
import json
import os
import queue
import random
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from threading import Event
from typing import Any

import httpx
import pytest

from octomil.control.plane import ControlPlane
from octomil.registry.manifest import digest_of
from octomil.registry.messages import verify
from octomil.registry.signatures import verify as verify_manifest
from octomil.wire.models import ModelCreation
from octomil.wire.versions import VersionCreation
from support.control import API, bearer, control_plane, printed_key, upping
from support.serving import ServeProcess
from support.versions import a_file, caller_of

KILLS = 4
CLIENTS = 2
VERSIONS = 150
SECRET = "a-secret-of-the-test"
PATIENCE_S = 120.0
"""Longer than what a killed replica took stays taken; only ever spent by a test that fails."""
ALLOWED = {"OCTOMIL_WEBHOOKS_PRIVATE": "1"}


class ReceiverProcess:
    """A receiver of webhooks in a process of its own, which outlives the server's kills."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.url = f"http://127.0.0.1:{process.stdout.readline().strip()}/"
        self.events: dict[str, dict[str, Any]] = {}
        self.messages = 0
        self._lines: queue.Queue[tuple[str, float]] = queue.Queue()
        self.thread = threading.Thread(target=self._read, args=(process.stdout,))
        self.thread.start()

    def await_events(self, wanted: set[tuple[str, Any]]) -> None:
        """Take messages until there is one of everything that is wanted."""
        while not wanted <= {told(event) for event in self.events.values()}:
            line, now_s = self._lines.get(timeout=PATIENCE_S)
            message = json.loads(line)
            body = message["body"].encode()
            event_id = verify(SECRET, message["headers"], body, now_s=now_s)
            self.events.setdefault(event_id, json.loads(body))
            self.messages += 1

    def _read(self, pipe: Any) -> None:
        for line in pipe:
            self._lines.put((line, datetime.now(UTC).timestamp()))


@pytest.fixture
def receiver() -> Iterator[ReceiverProcess]:
    tests = Path(__file__).parents[1]
    process = subprocess.Popen(
        [sys.executable, "-m", "support.webhook_receiver"],
        stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": str(tests)},
    )  # fmt: skip
    receiver = ReceiverProcess(process)
    yield receiver
    process.terminate()
    process.wait(timeout=PATIENCE_S)
    receiver.thread.join()
    process.stdout.close()


def told(event: dict[str, Any]) -> tuple[str, Any]:
    """What an event tells of, in a word."""
    data = event["data"]
    return event["type"], data.get("revision", data["version"])


def prepared(plane: ControlPlane) -> str:
    """A model with many versions that are ready; returns its id."""
    caller = caller_of()
    model, _ = plane.models.ensure(caller, ModelCreation(name="mnist"))
    for number in (f"{each}.0.0" for each in range(1, VERSIONS + 1)):
        plane.versions.create(caller, model.id, VersionCreation(version=number))
        plane.versions.add_file(caller, model.id, number, a_file(plane, content=number.encode()))
    return model.id


def publishing(
    served: ServeProcess, key: str, model: str, numbers: "count[int]", enough: int, crash: Event
) -> list[Any]:
    """Publish versions and point an alias at each, until the server is gone; what it said is done.

    Calls for the crash once that is enough, and goes on.
    """
    acknowledged: list[Any] = []
    path = f"{API}/models/{model}"
    with (
        suppress(httpx.TransportError),
        httpx.Client(base_url=served.url, headers=bearer(key), timeout=PATIENCE_S) as client,
    ):
        while True:
            number = f"{min(next(numbers), VERSIONS)}.0.0"  # the last again, if the killer is late
            client.post(f"{path}/versions/{number}/publish", json={}).raise_for_status()
            acknowledged.append(("version.published", number))
            moved = client.put(f"{path}/aliases/production", json={"version": number})
            acknowledged.append(("alias.moved", moved.raise_for_status().json()["revision"]))
            if len(acknowledged) >= enough:
                crash.set()
    return acknowledged


def test_kill_9_loses_no_acknowledged_version_and_no_event(
    tmp_path: Path, receiver: ReceiverProcess
):
    folder, chance, numbers = tmp_path / "data", random.Random(1), count(1)
    with upping(folder, env=ALLOWED) as served:
        key = printed_key(served)
        body = {"url": receiver.url, "secret": SECRET,
                "events": ["version.published", "alias.moved"]}  # fmt: skip
        served.post(f"{API}/webhooks", body, headers=bearer(key)).raise_for_status()
        assert served.stop() == 0
    with control_plane(folder) as plane:
        model = prepared(plane)

    acknowledged: list[Any] = []
    for _ in range(KILLS):
        with upping(folder, env=ALLOWED) as served, ThreadPoolExecutor(CLIENTS) as threads:
            crash, enough = Event(), chance.randrange(1, 12)
            clients = [
                threads.submit(publishing, served, key, model, numbers, enough, crash)
                for _ in range(CLIENTS)
            ]
            assert crash.wait(PATIENCE_S)
            served.process.kill()
            served.process.wait()
            for client in clients:
                acknowledged += client.result()
    with upping(folder, env=ALLOWED) as served:
        receiver.await_events(set(acknowledged))
        check_versions(served, key, model, {what for kind, what in acknowledged
                                            if kind == "version.published"})  # fmt: skip
        assert served.stop() == 0

    assert len(acknowledged) >= KILLS
    check_acts(folder, receiver)


def check_versions(served: ServeProcess, key: str, model: str, acknowledged: set[str]) -> None:
    """Each version is whole: published with a manifest that proves itself, or ready."""

    def get(path: str) -> Any:
        return served.get(API + path, headers=bearer(key)).json()

    keys = {each["keyid"]: base64.b64decode(each["public_key"])
            for each in get("/signing-keys")["keys"]}  # fmt: skip
    versions = get(f"/models/{model}/versions?limit=1000")["versions"]
    published = {each["version"] for each in versions if each["status"] == "published"}
    assert {each["status"] for each in versions} <= {"published", "ready"}
    assert len(versions) == VERSIONS
    assert published >= acknowledged
    for version in versions:
        if version["version"] in published:
            signed = get(f"/models/{model}/versions/{version['version']}/manifest")
            payload = base64.b64decode(signed["payload"])
            (signature,) = signed["signatures"]
            assert digest_of(payload) == signed["digest"] == version["digest"]
            verify_manifest(
                keys[signature["keyid"]],
                signed["payloadType"],
                payload,
                base64.b64decode(signature["sig"]),
            )


def check_acts(folder: Path, receiver: ReceiverProcess) -> None:
    """What was done, what is in the audit and what was told are the same, in the same order."""
    with control_plane(folder) as plane, plane.store.snapshot("default") as tx:
        tx.audit.verify()
        acts = list(tx.audit.entries())
    moves = [act["details"]["revision"] for act in acts if act["operation"] == "alias.move"]
    revisions = [event["data"]["revision"] for event in receiver.events.values()
                 if event["type"] == "alias.moved"]  # fmt: skip

    assert moves == list(range(1, len(moves) + 1))
    assert revisions == moves[: len(revisions)]
    assert receiver.messages >= len(receiver.events)
