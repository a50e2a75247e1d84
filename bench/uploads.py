"""Files on their way into the control plane and out of it, and the memory that takes.

The floor of an upload is a copy of the same bytes that is hashed and synced as the server must do
it; that of a download is a loop that reads the file and sends it through a socket.
"""

import hashlib
import http.client
import json
import os
import socket
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Self

from bench.cpu import cpu_seconds, load_core, on_cores, pss_mb, server_core, usable_cores
from bench.process import BenchError, Server, free_port, octomil_program, serving, wait_for_200
from bench.report import Row, compare
from octomil.compose_control import build_plane, first_admin_key
from octomil.config import Settings
from octomil.control.data_folder import open_data_folder

COVERS = ("octomil/asgi", "octomil/control", "octomil/convert", "octomil/wire")

FILE_BYTES, QUICK_FILE_BYTES = 1 << 30, 1 << 26
LARGE_BYTES, QUICK_LARGE_BYTES = 5 * 10**9, 3 << 26
PIECE_BYTES = 1 << 20
SESSION_BYTES = 32 << 20
"""What a `PATCH` carries; each is synced before it is answered."""

_API = "/api/v1"
_BOUNDARY = "octomil-bench"


@dataclass(frozen=True)
class Content:
    """A safetensors file of one tensor, made while it is read.

    Args:
        size: bytes of the tensor.
        seed: two files of different seeds have different digests.
    """

    size: int
    seed: int

    @property
    def header(self) -> bytes:
        said = {"dtype": "U8", "shape": [self.size], "data_offsets": [0, self.size]}
        text = json.dumps({"w": said}).encode()
        return len(text).to_bytes(8, "little") + text

    def pieces(self) -> Iterator[bytes]:
        yield self.header
        block = hashlib.shake_128(self.seed.to_bytes(8)).digest(PIECE_BYTES)
        for start in range(0, self.size, PIECE_BYTES):
            yield block[: min(PIECE_BYTES, self.size - start)]

    def __len__(self) -> int:
        return len(self.header) + self.size


def run(quick: bool) -> list[Row]:
    """Send files and fetch them again, ours and the floor in turn; then a large one, once."""
    size = QUICK_FILE_BYTES if quick else FILE_BYTES
    large = QUICK_LARGE_BYTES if quick else LARGE_BYTES
    with tempfile.TemporaryDirectory(prefix="octomil-bench") as name:
        folder = Path(name) / "data"
        with open_data_folder(folder) as opened:
            plane = build_plane(Settings(), opened)
            key = first_admin_key(plane) or ""
            plane.close()
        with on_cores(load_core(usable_cores())), _up(folder) as server:
            sender = Sender(server, key)
            rows = _throughput(sender, Path(name), size, rounds=1 if quick else 3)
            return [*rows, *_large(sender, large)]


@contextmanager
def _up(folder: Path) -> Iterator[Server]:
    port = free_port()
    argv = [str(octomil_program()), "up", "--data-dir", str(folder), "--port", str(port)]
    with serving("uploads-up", argv, port=port, cores=server_core(usable_cores())) as server:
        wait_for_200(server, "/ready")
        yield server


class Sender:
    """Sends versions of one model and fetches them."""

    def __init__(self, server: Server, key: str) -> None:
        self.server = server
        self._headers = {"authorization": f"Bearer {key}"}
        self._model = str(self._json("POST", "/models", {"name": "bench"})["id"])

    def by_form(self, content: Content, version: str) -> float:
        """Send a file in one form; return the seconds until the version is there."""
        before = (
            f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="version"\r\n\r\n{version}\r\n'
            f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="m"\r\n\r\n'
        ).encode()
        after = f"\r\n--{_BOUNDARY}--\r\n".encode()

        def body() -> Iterator[bytes]:
            yield before
            yield from content.pieces()
            yield after

        headers = {
            "content-type": f"multipart/form-data; boundary={_BOUNDARY}",
            "content-length": str(len(before) + len(content) + len(after)),
        }
        started_s = perf_counter()
        self._call("POST", f"/models/{self._model}/versions/upload", body(), headers, 201)
        return perf_counter() - started_s

    def by_session(self, content: Content, version: str) -> float:
        """Send a file piece by piece; return the seconds until the version is there."""
        digest, offset, gathered = hashlib.sha256(), 0, bytearray()
        started_s = perf_counter()
        upload = self._json("POST", "/uploads", {"size_bytes": len(content)})["id"]
        for piece in content.pieces():
            digest.update(piece)
            gathered += piece
            if len(gathered) >= SESSION_BYTES:
                offset = self._append(str(upload), offset, bytes(gathered))
                gathered.clear()
        self._append(str(upload), offset, bytes(gathered))
        done = self._json("POST", f"/uploads/{upload}/complete", {"sha256": digest.hexdigest()})
        body = {"version": version, "storage_path": done["storage_path"]}
        self._json("POST", f"/models/{self._model}/versions", body)
        return perf_counter() - started_s

    def fetch(self, version: str) -> tuple[float, int]:
        """Fetch a file into nothing; return the seconds and its size."""
        connection = self._connection()
        path = f"{_API}/models/{self._model}/versions/{version}/download"
        started_s = perf_counter()
        connection.request("GET", path, headers=self._headers)
        answer = connection.getresponse()
        size, place = 0, bytearray(PIECE_BYTES)
        while count := answer.readinto(place):
            size += count
        taken_s = perf_counter() - started_s
        connection.close()
        if answer.status != 200:
            raise BenchError(f"download: {answer.status}")
        return taken_s, size

    def _append(self, upload: str, offset: int, data: bytes) -> int:
        headers = {"upload-offset": str(offset)}
        self._call("PATCH", f"/uploads/{upload}", data, headers, 200)
        return offset + len(data)

    def _json(self, method: str, path: str, body: dict[str, object]) -> dict[str, object]:
        headers = {"content-type": "application/json"}
        found: dict[str, object] = json.loads(
            self._call(method, path, json.dumps(body).encode(), headers, 201, 200)
        )
        return found

    def _call(
        self, method: str, path: str, body: object, headers: dict[str, str], *good: int
    ) -> bytes:
        connection = self._connection()
        # `object` is what typeshed's several kinds of body have in common.
        connection.request(method, _API + path, body, self._headers | headers)  # type: ignore[arg-type]
        answer = connection.getresponse()
        found = answer.read()
        connection.close()
        if answer.status not in good:
            raise BenchError(f"{method} {path}: {answer.status} {found[:300]!r}")
        return found

    def _connection(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=600)


def _throughput(sender: Sender, folder: Path, size: int, *, rounds: int) -> list[Row]:
    mb = size / 1e6
    form: dict[str, list[float]] = {"ours": [], "peer": []}
    session: dict[str, list[float]] = {"ours": [], "peer": []}
    down: dict[str, list[float]] = {"ours": [], "peer": []}
    cpu_ms: list[float] = []
    for number in range(rounds):
        copied = mb / _copy(Content(size, 3 * number), folder / "copy")
        before_s = cpu_seconds(sender.server.pid)
        form["ours"].append(mb / sender.by_form(Content(size, 3 * number + 1), f"1.{number}.0"))
        cpu_ms.append((cpu_seconds(sender.server.pid) - before_s) / mb * 1e6)
        session["ours"].append(
            mb / sender.by_session(Content(size, 3 * number + 2), f"2.{number}.0")
        )
        form["peer"].append(copied)
        session["peer"].append(copied)
        taken_s, _ = sender.fetch(f"1.{number}.0")
        down["ours"].append(mb / taken_s)
        down["peer"].append(mb / _send_through_socket(folder / "copy"))
    sized = f"{size / 2**20:,.0f} MiB"
    note = "peer: the same bytes made, hashed, written to a file and synced by one loop"
    sent = "peer: the same file read and sent through a socket by one loop, without sendfile"
    return [
        compare(f"upload by form, {sized}", "MB/s", form, higher_is_better=True, note=note),
        compare(f"upload by session, {sized}", "MB/s", session, higher_is_better=True,
                note=f"{SESSION_BYTES >> 20} MiB a request, each synced before it is answered; "
                     "hashed by the sender, too"),
        compare("CPU of the server per uploaded MB, by form", "µs", {"ours": cpu_ms}),
        compare(f"download, {sized}", "MB/s", down, higher_is_better=True, note=sent),
    ]  # fmt: skip


def _large(sender: Sender, size: int) -> list[Row]:
    """Send one large file and fetch it again, with an eye on the server's memory."""
    before_mb = pss_mb(sender.server.pid)
    with Watch(sender.server.pid) as up:
        sent_s = sender.by_form(Content(size, 99), "9.0.0")
    with Watch(sender.server.pid) as down:
        fetched_s, fetched = sender.fetch("9.0.0")
    if fetched != len(Content(size, 99)):
        raise BenchError(f"{fetched} bytes came back")
    at = f"{size / 1e9:.1f} GB"
    note = "floor: before it; of all the server's processes, the sandbox among them"
    return [
        Row(metric=f"upload by form, {at}, once", unit="MB/s", ours=size / 1e6 / sent_s),
        Row(
            metric=f"memory at most, upload of {at}",
            unit="MB",
            ours=up.most_mb,
            floor=before_mb,
            note=note,
        ),
        Row(metric=f"download, {at}, once", unit="MB/s", ours=size / 1e6 / fetched_s),
        Row(
            metric=f"memory at most, download of {at}",
            unit="MB",
            ours=down.most_mb,
            floor=before_mb,
        ),
    ]


class Watch:
    """Looks at a process tree's memory again and again until the block ends."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look)
        self.most_mb = 0.0

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._over.wait(0.1):
            self.most_mb = max(self.most_mb, pss_mb(self._pid))


def _copy(content: Content, target: Path) -> float:
    """Write and hash some bytes as a server must; return the seconds."""
    started_s, digest = perf_counter(), hashlib.sha256()
    with target.open("wb", buffering=0) as file:
        for piece in content.pieces():
            digest.update(piece)
            file.write(piece)
        os.fsync(file.fileno())
    return perf_counter() - started_s


def _send_through_socket(path: Path) -> float:
    """Read a file and send it to a reader in this process; return the seconds."""
    here, there = socket.socketpair()

    def send() -> None:
        with path.open("rb", buffering=0) as file, here:
            place = memoryview(bytearray(PIECE_BYTES))
            while count := file.readinto(place):
                here.sendall(place[:count])

    started_s = perf_counter()
    sending = threading.Thread(target=send)
    sending.start()
    place = bytearray(PIECE_BYTES)
    with there:
        while there.recv_into(place):
            pass
    sending.join()
    return perf_counter() - started_s
