"""A small real HTTP server that answers like the Hugging Face hub, and misbehaves on demand.

``HEAD`` and ``GET /{repo}/resolve/{revision}/{path}`` behave as on the hub: large (LFS) files
redirect to a "CDN" path with ``X-Linked-Etag`` and ``X-Linked-Size``, small ones are sent at once
with their git blob id as ETag. It also serves plain pages, which is all pip needs of an index.
"""

import hashlib
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@dataclass
class HubFile:
    data: bytes
    lfs: bool = True
    gated: bool = False
    etag: str | None = None  # overrides the digest
    size: int | None = None  # overrides the true size
    tells_size: bool = True

    @property
    def promised_etag(self) -> str:
        if self.etag is not None:
            return self.etag
        if self.lfs:
            return hashlib.sha256(self.data).hexdigest()
        return hashlib.sha1(b"blob %d\0" % len(self.data) + self.data).hexdigest()


@dataclass(frozen=True)
class Seen:
    method: str
    path: str
    range: str | None
    if_range: str | None
    authorization: str | None


@dataclass
class Hub:
    """State of the running server; tests set it and read `seen`."""

    url: str = ""
    files: dict[str, HubFile] = field(default_factory=dict)  # "owner/repo/path" → file
    moved: dict[str, str] = field(default_factory=dict)  # old "owner/repo" → new
    pages: dict[str, bytes] = field(default_factory=dict)
    token: str | None = None
    ignores_ranges: bool = False
    seen: list[Seen] = field(default_factory=list)
    failures: deque[tuple[int, dict[str, str]]] = field(default_factory=deque)
    cuts: deque[int] = field(default_factory=deque)  # bytes after which the next bodies are cut
    hold_after: int | None = None  # bytes after which bodies wait for `release`
    held: threading.Event = field(default_factory=threading.Event)
    release: threading.Event = field(default_factory=threading.Event)

    def fail_next(self, status: int, *, times: int = 1, **headers: str) -> None:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self.failures.extend([(status, named)] * times)

    def body_requests(self) -> list[Seen]:
        """The GETs that reached a file's bytes."""
        return [seen for seen in self.seen if seen.method == "GET" and "/cdn/" in seen.path]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: Hub

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def log_message(self, *_: object) -> None:
        pass

    def _answer(self) -> None:
        get = self.headers.get
        self.hub.seen.append(
            Seen(self.command, self.path, get("Range"), get("If-Range"), get("Authorization"))
        )
        path = unquote(self.path)
        if self.hub.failures:
            status, headers = self.hub.failures.popleft()
            self._empty(status, headers)
        elif path in self.hub.pages:
            kind = "text/html" if path.endswith(".html") else "application/octet-stream"
            self._send_body(self.hub.pages[path], {"Content-Type": kind})
        elif path.startswith("/cdn/"):
            file = self.hub.files[path.removeprefix("/cdn/")]
            self._send_body(file.data, {"ETag": '"etag-of-the-storage"'})
        else:
            self._resolve(path)

    def _resolve(self, path: str) -> None:
        repo, _, rest = path.removeprefix("/").partition("/resolve/")
        revision, _, name = rest.partition("/")
        if new := self.hub.moved.get(repo):
            self._empty(307, {"Location": f"/{new}/resolve/{revision}/{name}"})
            return
        file = self.hub.files.get(f"{repo}/{name}")
        if file is None:
            known = any(key.startswith(repo + "/") for key in self.hub.files)
            code = "EntryNotFound" if known else "RepoNotFound"
            self._empty(404 if known else 401, {"X-Error-Code": code})
            return
        if file.gated and self.headers.get("Authorization") != f"Bearer {self.hub.token}":
            self._empty(403 if "Authorization" in self.headers else 401, {})
            return
        size = len(file.data) if file.size is None else file.size
        headers = {"X-Repo-Commit": COMMIT}
        if file.lfs:
            headers["X-Linked-Etag"] = f'"{file.promised_etag}"'
            if file.tells_size:
                headers["X-Linked-Size"] = str(size)
            self._empty(302, headers | {"Location": f"/cdn/{repo}/{name}"})
        else:
            self._send_body(file.data, headers | {"ETag": f'"{file.promised_etag}"'})

    def _empty(self, status: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in (headers | {"Content-Length": "0"}).items():
            self.send_header(name, value)
        self.end_headers()

    def _send_body(self, data: bytes, headers: dict[str, str]) -> None:
        start = 0
        wanted = self.headers.get("Range")
        if_range = self.headers.get("If-Range")
        if wanted and not self.hub.ignores_ranges and if_range in {None, headers.get("ETag")}:
            start = int(wanted.removeprefix("bytes=").partition("-")[0])
            if start >= len(data):
                self._empty(416, {"Content-Range": f"bytes */{len(data)}"})
                return
            headers = headers | {"Content-Range": f"bytes {start}-{len(data) - 1}/{len(data)}"}
        self.send_response(206 if start else 200)
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Length", str(len(data) - start))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            self._write(data[start:])

    def _write(self, body: bytes) -> None:
        try:
            if self.hub.cuts:
                self.wfile.write(body[: self.hub.cuts.popleft()])
                self.close_connection = True
                return
            hold = self.hub.hold_after
            if hold is not None and len(body) > hold:
                self.wfile.write(body[:hold])
                self.wfile.flush()
                self.hub.held.set()
                self.hub.release.wait(300)
                body = body[hold:]
            self.wfile.write(body)
        except ConnectionError:
            self.close_connection = True  # the client was killed: that is what some tests are about


class _Server(ThreadingHTTPServer):
    daemon_threads = False  # closing waits for every handler, so none outlives its test

    def handle_error(self, request: object, client_address: object) -> None:
        pass  # a client that was killed may reset its connection between two requests


@contextmanager
def running_hub() -> Iterator[Hub]:
    """Run a hub on a free port of the loopback interface until the block ends."""
    hub = Hub()
    handler = type("Handler", (_Handler,), {"hub": hub})
    with _Server(("127.0.0.1", 0), handler) as server:
        hub.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield hub
        finally:
            hub.release.set()
            server.shutdown()
            thread.join()
