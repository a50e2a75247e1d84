"""Clients of a control plane that dies under them: they remember what it had acknowledged."""

import hashlib
import json
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

import httpx

from bench.process import BenchError

API = "/api/v1"
ALIAS = "production"
WEIGHTS_BYTES = 60_000
PIECE_BYTES = 25_000

_GRACE_S = 3600

Kind = Literal["create", "publish", "move", "delete"]


@dataclass(slots=True)
class Held:
    """A version that was acknowledged.

    Attributes:
        content: of its file.
    """

    content: bytes
    is_published: bool = False


@dataclass(frozen=True, slots=True)
class Pending:
    """What was asked for and not answered: it happened, or it did not.

    Attributes:
        number: of the version that it is about.
        content: of a version that was to be created.
    """

    kind: Kind
    number: str
    content: bytes = b""


@dataclass(slots=True)
class UnderWay:
    """An upload that was begun.

    Attributes:
        offset: how many bytes were acknowledged.
    """

    id: str
    content: bytes
    offset: int = 0
    is_complete: bool = False


@dataclass(slots=True)
class Memory:
    """What a client knows for certain, and the one thing that it does not."""

    model: str = ""
    versions: dict[str, Held] = field(default_factory=dict)
    deleted: set[str] = field(default_factory=set)
    moves: list[str] = field(default_factory=list)
    devices: dict[str, str] = field(default_factory=dict)
    pending: Pending | None = None
    upload: UnderWay | None = None


class Client:
    """Does everything that changes the registry and the fleet, over and over.

    Args:
        number: tells it from the others; what it sends depends on it alone.
    """

    def __init__(self, number: int) -> None:
        self.number = number
        self.memory = Memory()
        self._lives = 0

    def live(self, api: httpx.Client) -> None:
        """Do each thing once.

        Raises:
            httpx.TransportError: the server is gone.
            BenchError: it refuses what is right.
        """
        self._lives += 1
        name = f"client-{self.number}"
        self.memory.model = str(called(api, "POST", "/models", {"name": name})["id"])
        self._register(api, f"box-{self.number}-{self._lives}")
        called(api, "POST", f"/blobs/collect?grace_s={_GRACE_S}")
        self._release(api, f"1.{self._lives}.0", model_file(self.number, self._lives))
        same_again = self._lives % 2
        self._form_and_delete(api, f"0.{self._lives}.0", model_file(self.number, -same_again))
        self._give_up(api)

    def go_on(self, api: httpx.Client) -> None:
        """Complete the upload that was under way, if there was one."""
        upload, self.memory.upload = self.memory.upload, None
        if upload is None:
            return
        view = called(api, "GET", f"/uploads/{upload.id}")
        has_moved = view["offset"] == 0 and upload.offset == len(upload.content)
        if not view["is_complete"] and not has_moved:
            self._append(api, upload, int(view["offset"]), len(upload.content))
        done = self._complete(api, upload)
        if done != f"sha256:{sha256_of(upload.content)}":
            raise BenchError(f"the upload {upload.id} became {done}")

    def _register(self, api: httpx.Client, name: str) -> None:
        body = {"device_identifier": name, "metadata": {"name": name}}
        self.memory.devices[name] = str(called(api, "POST", "/devices/register", body)["id"])

    def _release(self, api: httpx.Client, number: str, content: bytes) -> None:
        """Send a file by session, make a version of it, publish it and point the alias at it."""
        memory, path = self.memory, f"/models/{self.memory.model}"
        body = {"size_bytes": len(content)}
        upload = UnderWay(str(called(api, "POST", "/uploads", body)["id"]), content)
        memory.upload = upload
        for offset in range(0, len(content), PIECE_BYTES):
            self._append(api, upload, offset, offset + PIECE_BYTES)
        stored = self._complete(api, upload)
        with self._asking("create", number, content):
            memory.upload = None
            called(api, "POST", f"{path}/versions", {"version": number, "storage_path": stored})
            memory.versions[number] = Held(content)
        with self._asking("publish", number):
            called(api, "POST", f"{path}/versions/{number}/publish", {})
            memory.versions[number].is_published = True
        with self._asking("move", number):
            called(api, "PUT", f"{path}/aliases/{ALIAS}", {"version": number})
            memory.moves.append(number)

    def _form_and_delete(self, api: httpx.Client, number: str, content: bytes) -> None:
        memory, path = self.memory, f"/models/{self.memory.model}/versions"
        with self._asking("create", number, content):
            files = {"file": ("model.safetensors", content)}
            answer = api.post(f"{API}{path}/upload", data={"version": number}, files=files)
            body_of(answer)
            memory.versions[number] = Held(content)
        with self._asking("delete", number):
            called(api, "DELETE", f"{path}/{number}")
            del memory.versions[number]
            memory.deleted.add(number)

    def _give_up(self, api: httpx.Client) -> None:
        upload = called(api, "POST", "/uploads", {"size_bytes": 2})["id"]
        answer = api.patch(f"{API}/uploads/{upload}", content=b"x", headers={"upload-offset": "0"})
        body_of(answer)
        called(api, "DELETE", f"/uploads/{upload}")

    def _append(self, api: httpx.Client, upload: UnderWay, start: int, end: int) -> None:
        headers, piece = {"upload-offset": str(start)}, upload.content[start:end]
        body_of(api.patch(f"{API}/uploads/{upload.id}", content=piece, headers=headers))
        upload.offset = start + len(piece)

    def _complete(self, api: httpx.Client, upload: UnderWay) -> str:
        body = {"sha256": sha256_of(upload.content)}
        stored = called(api, "POST", f"/uploads/{upload.id}/complete", body)["storage_path"]
        upload.is_complete = True
        return str(stored)

    @contextmanager
    def _asking(self, kind: Kind, number: str, content: bytes = b"") -> Iterator[None]:
        """Remember what is asked for until it is answered."""
        self.memory.pending = Pending(kind, number, content)
        yield
        self.memory.pending = None


def called(
    api: httpx.Client, method: str, path: str, body: dict[str, Any] | None = None
) -> dict[str, Any]:
    """Call the API and return the body of a good answer.

    Raises:
        BenchError: it is none.
    """
    return body_of(api.request(method, API + path, json=body))


def body_of(answer: httpx.Response) -> dict[str, Any]:
    """Return the body of a good answer.

    Raises:
        BenchError: it is none.
    """
    if not answer.is_success:
        request = f"{answer.request.method} {answer.request.url.path}"
        raise BenchError(f"{request}: {answer.status_code} {answer.text[:300]}")
    found: dict[str, Any] = answer.json()
    return found


def until_gone(live: Callable[[httpx.Client], None], api: httpx.Client) -> None:
    """Live again and again until the server is gone."""
    while True:
        try:
            live(api)
        except httpx.TransportError:
            return


def model_file(*seed: int) -> bytes:
    """Return a safetensors file whose content nobody else has that has another seed."""
    said = {"dtype": "U8", "shape": [WEIGHTS_BYTES], "data_offsets": [0, WEIGHTS_BYTES]}
    header = json.dumps({"w": said}).encode()
    weights = random.Random(repr(seed)).randbytes(WEIGHTS_BYTES)
    return len(header).to_bytes(8, "little") + header + weights


def sha256_of(content: bytes) -> str:
    """Return a SHA-256 in hexadecimal digits."""
    return hashlib.sha256(content).hexdigest()
