"""A control plane that is killed while files arrive: no half version, no lost acknowledged one."""

import hashlib
import random
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from threading import Barrier, Event

import httpx

from octomil.compose_control import open_kept
from octomil.config import Settings
from octomil.control.data_folder import data_folder_at
from octomil.control.services.fsck import check_blobs
from support.control import API, bearer, printed_key, upping
from support.folders import names_in
from support.serving import ServeProcess

KILLS = 5
CLIENTS = 3
PIECE = 200_000


def model_file(seed: int) -> bytes:
    """A safetensors file of about 600 kB whose content nobody else has."""
    size = 600_000
    header = f'{{"w":{{"dtype":"U8","shape":[{size}],"data_offsets":[0,{size}]}}}}'.encode()
    return len(header).to_bytes(8, "little") + header + random.Random(seed).randbytes(size)


@dataclass
class Sender:
    """Sends versions, by sessions and by forms in turn, and remembers what was acknowledged.

    Attributes:
        versions: number → content, acknowledged.
        open: an upload under way: its id, its content, the acknowledged offset, whether complete.
    """

    number: int
    versions: dict[str, bytes] = field(default_factory=dict)
    under_way: tuple[str, bytes, int, bool] | None = None
    sent: int = 0

    def work(self, client: httpx.Client, model: str, crash: Event, acknowledged: Event) -> None:
        """Send until the server is gone."""
        while not crash.is_set():
            try:
                self.step(client, model)
            except httpx.TransportError:
                return
            acknowledged.set()

    def step(self, client: httpx.Client, model: str) -> None:
        content = model_file(self.number * 1000 + self.sent)
        version = f"{self.number}.{self.sent}.0"
        self.sent += 1
        if self.sent % 2:
            self.by_session(client, model, version, content)
        else:
            files = {"file": ("m", content)}
            path = f"{API}/models/{model}/versions/upload"
            answer = client.post(path, data={"version": version}, files=files)
            assert answer.status_code == 201, answer.text
        self.versions[version] = content

    def by_session(self, client: httpx.Client, model: str, version: str, content: bytes) -> None:
        begun = client.post(f"{API}/uploads", json={"size_bytes": len(content)})
        upload = begun.json()["id"]
        self.under_way = (upload, content, 0, False)
        for offset in range(0, len(content), PIECE):
            append(client, upload, offset, content[offset : offset + PIECE])
            self.under_way = (upload, content, min(offset + PIECE, len(content)), False)
        path = complete(client, upload, content)
        self.under_way = (upload, content, len(content), True)
        body = {"version": version, "storage_path": path}
        answer = client.post(f"{API}/models/{model}/versions", json=body)
        assert answer.status_code == 201, answer.text
        self.under_way = None

    def go_on(self, client: httpx.Client) -> None:
        """After a restart: what was acknowledged is there, and the upload can be completed."""
        if self.under_way is None:
            return
        upload, content, acknowledged, is_complete = self.under_way
        view = client.get(f"{API}/uploads/{upload}").json()
        assert view["is_complete"] or not is_complete
        is_moved = view["offset"] == 0 and acknowledged == len(content)  # `complete` was under way
        if not view["is_complete"] and not is_moved:
            assert view["offset"] >= acknowledged
            append(client, upload, view["offset"], content[view["offset"] :])
        assert complete(client, upload, content) == f"sha256:{digest_of(content)}"
        self.under_way = None


def append(client: httpx.Client, upload: str, offset: int, data: bytes) -> None:
    headers = {"upload-offset": str(offset)}
    answer = client.patch(f"{API}/uploads/{upload}", content=data, headers=headers)
    assert answer.status_code == 200, answer.text


def complete(client: httpx.Client, upload: str, content: bytes) -> str:
    answer = client.post(f"{API}/uploads/{upload}/complete", json={"sha256": digest_of(content)})
    assert answer.status_code == 200, answer.text
    return answer.json()["storage_path"]


def digest_of(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def client_of(served: ServeProcess, key: str) -> httpx.Client:
    return httpx.Client(base_url=served.url, headers=bearer(key), timeout=60)


def kill_while_sending(
    served: ServeProcess, key: str, model: str, senders: list[Sender], chance: random.Random
) -> None:
    crash, acknowledged, started = Event(), Event(), Barrier(CLIENTS + 1)

    def run(sender: Sender) -> None:
        with client_of(served, key) as client:
            started.wait(30)
            sender.work(client, model, crash, acknowledged)

    with ThreadPoolExecutor(CLIENTS) as threads:
        running = [threads.submit(run, sender) for sender in senders]
        started.wait(30)
        assert acknowledged.wait(120)
        crash.wait(chance.uniform(0, 0.8))  # some way into the next ones, nobody knows where
        served.process.kill()
        served.process.wait()
        crash.set()
        for each in running:
            each.result(60)


def test_kill_9_while_files_arrive_loses_nothing_acknowledged(tmp_path: Path):
    folder, chance, key, model = tmp_path / "data", random.Random(7), "", ""
    senders = [Sender(number + 1) for number in range(CLIENTS)]
    for _ in range(KILLS):
        with upping(folder) as served:
            key = printed_key(served) or key
            with client_of(served, key) as client:
                model = model or client.post(f"{API}/models", json={"name": "m"}).json()["id"]
                for sender in senders:
                    sender.go_on(client)
            kill_while_sending(served, key, model, senders, chance)

    with upping(folder) as served, client_of(served, key) as client:
        for sender in senders:
            sender.go_on(client)
        versions = client.get(f"{API}/models/{model}/versions", params={"limit": 500}).json()
        found = {each["version"]: each for each in versions["versions"]}
        for sender in senders:
            for version, content in sender.versions.items():
                path = f"{API}/models/{model}/versions/{version}/download"
                assert client.get(path).content == content
        for each in found.values():
            assert (each["status"], each["formats"]) == ("ready", ["safetensors"])
        assert served.stop() == 0

    assert sum(len(sender.versions) for sender in senders) >= KILLS
    with open_kept(Settings(), data_folder_at(folder)) as (store, blobs):
        verdict = check_blobs(store, blobs)
    assert verdict.is_sound
    assert verdict.checked >= len(found)
    assert names_in(folder / "uploads" / "scratch") == []
    checked = subprocess.run(
        [sys.executable, "-m", "octomil.cli.main", "fsck", str(folder)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert checked.stdout.startswith(f"0 of {verdict.checked} blobs differ"), checked.stderr
