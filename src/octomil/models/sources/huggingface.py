"""Model files from the Hugging Face hub, or from a mirror that answers like it.

One HEAD tells size, digest and commit; ranged GETs bring the bytes and go on after a cut. The
ETag of a large file is its SHA-256, that of a small one its git blob id: either way what arrives is
checked against it. Headers: https://huggingface.co/docs/huggingface_hub/package_reference/file_download
"""

import hashlib
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote, urljoin, urlsplit

from octomil.errors import ConfigurationError, DigestMismatchError, ModelUnavailableError
from octomil.http.client import HttpClient
from octomil.http.retry import Backoff, Retries, TemporaryHttpError
from octomil.models.catalog import HubFiles, ModelFile
from octomil.models.partial import GrowingFile, require_space
from octomil.models.sources.base import FetchedFile, FetchTask

if TYPE_CHECKING:
    import httpx

_CHUNK_BYTES = 1 << 18
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_SHA256_HEX, _SHA1_HEX = 64, 40
_MOVES = 5


@dataclass(frozen=True, kw_only=True)
class RemoteFile:
    """What the hub says about a file before it is fetched.

    Attributes:
        url: address to GET.
        etag: without quotes and weakness mark; empty where the server sends none.
        size_bytes: 0 where the server does not say.
        commit: the commit the revision stands for; empty where unknown.
    """

    url: str
    etag: str
    size_bytes: int
    commit: str

    @property
    def sha256(self) -> str:
        """The promised SHA-256, or an empty string where the hub gives none."""
        return self.etag if _is_hex(self.etag, _SHA256_HEX) else ""

    @property
    def is_verifiable(self) -> bool:
        """Whether the bytes can be checked against the ETag."""
        return bool(self.sha256) or _is_hex(self.etag, _SHA1_HEX)


class HuggingFaceSource:
    """Fetches the files of a :class:`HubFiles`.

    Args:
        spec: repository, revision and files.
        endpoint: base address of the hub.
        token: sent to the hub itself, never to where it redirects.
        timeout_s: seconds the server may take to connect and to send its next byte.
        sleep: waits between tries.
        backoff: how often and how long.
    """

    def __init__(
        self,
        spec: HubFiles,
        *,
        endpoint: str,
        token: str | None = None,
        timeout_s: float = 30.0,
        backoff: Backoff | None = None,
        sleep: Callable[[float], None] = time.sleep,
        rng: random.Random | None = None,
    ) -> None:
        if urlsplit(endpoint).scheme not in {"http", "https"}:
            raise ConfigurationError(
                f"HF_ENDPOINT {endpoint!r} is no web address; write https://HOST"
            )
        self._spec = spec
        self._endpoint = endpoint.rstrip("/")
        self._headers = {"Accept-Encoding": "identity"}
        if token:
            self._headers["Authorization"] = f"Bearer {token}"
        self._timeout_s = timeout_s
        self._backoff = backoff or Backoff()
        self._sleep = sleep
        self._rng = rng or random.Random()

    def fetch(self, task: FetchTask) -> dict[str, FetchedFile]:
        """See :class:`~octomil.models.sources.base.Source`."""
        with HttpClient(timeout_s=self._timeout_s) as http:
            try:
                return self._fetch_all(http, task)
            except TemporaryHttpError as error:
                raise ModelUnavailableError(
                    f"cannot fetch {task.name} from {self._endpoint}: {error}. Check the network, "
                    "or set HF_ENDPOINT to a mirror; what has arrived is kept for the next try"
                ) from error

    def _fetch_all(self, http: HttpClient, task: FetchTask) -> dict[str, FetchedFile]:
        remotes = {file.name: self._resolve(http, task, file.name) for file in task.files}
        for file in task.files:
            _require_same(task, file, remotes[file.name])
        total = sum(remote.size_bytes for remote in remotes.values())
        missing = total - task.partial.held_bytes()
        require_space(task.partial.folder, missing, purpose=task.name)
        fetched, before = {}, 0
        for name, remote in remotes.items():

            def report(done: int, offset: int = before) -> None:
                task.report(offset + done, total)

            fetched[name] = self._fetch_file(http, task, name, remote, report)
            before += fetched[name].size_bytes
        return fetched

    def _retries(self, task: FetchTask) -> Retries:
        return Retries(self._backoff, sleep=self._sleep, rng=self._rng, on_wait=task.note)

    def _resolve(self, http: HttpClient, task: FetchTask, name: str) -> RemoteFile:
        """Ask what the revision holds now."""
        path = self._spec.files[name]
        url = f"{self._endpoint}/{self._spec.repo}/resolve/{quote(self._spec.revision, safe='')}/"
        url += quote(path)
        retries = self._retries(task)
        for _ in range(_MOVES):
            response = self._head(http, url, retries)
            status = response.status_code
            if status not in _REDIRECTS and status != HTTPStatus.OK:
                raise ModelUnavailableError(self._explain(response, task.name, path))
            target = urljoin(url, response.headers.get("Location", url))
            # A renamed repository answers from its new address. Storage elsewhere does not know
            # the digest, so only redirects that stay on the hub are followed here.
            is_moved = status in _REDIRECTS and "X-Linked-Etag" not in response.headers
            if not is_moved or urlsplit(target)[:2] != urlsplit(url)[:2]:
                return _read_head(response, url)
            url = target
        raise ModelUnavailableError(f"cannot fetch {task.name}: {url} only ever redirects")

    def _head(self, http: HttpClient, url: str, retries: Retries) -> "httpx.Response":
        while True:
            try:
                return http.head(url, self._headers)
            except TemporaryHttpError as failure:
                retries.wait(failure)

    def _fetch_file(
        self,
        http: HttpClient,
        task: FetchTask,
        name: str,
        remote: RemoteFile,
        report: Callable[[int], None],
    ) -> FetchedFile:
        known = task.partial.state(name).get("etag")
        # Bytes of an earlier process are kept only if a digest at the end can vouch for them.
        keep = bool(known) and known == remote.etag and remote.is_verifiable
        if not keep:
            task.partial.record(name, etag=remote.etag)
        with task.partial.open(name, size_bytes=None if keep else 0) as growing:
            if remote.size_bytes and growing.size_bytes > remote.size_bytes:
                growing.restart()
            report(growing.size_bytes)
            retries = self._retries(task)
            while not remote.size_bytes or growing.size_bytes < remote.size_bytes:
                before = growing.size_bytes
                try:
                    if self._receive(http, task, remote, growing, report):
                        break
                except TemporaryHttpError as failure:
                    if growing.size_bytes > before:
                        retries.succeeded()
                    retries.wait(failure)
            growing.flush()
            arrived, size_bytes = growing.sha256, growing.size_bytes
        _verify(task, name, remote, sha256=arrived)
        origin = {"url": remote.url, "etag": remote.etag, "commit": remote.commit}
        return FetchedFile(sha256=arrived, size_bytes=size_bytes, origin=origin)

    def _receive(
        self,
        http: HttpClient,
        task: FetchTask,
        remote: RemoteFile,
        growing: GrowingFile,
        report: Callable[[int], None],
    ) -> bool:
        """One GET for what is missing; True if the server sent the end of the file."""
        headers = dict(self._headers)
        if growing.size_bytes:
            headers["Range"] = f"bytes={growing.size_bytes}-"
            # Storage behind the hub has ETags of its own, so If-Range would only ever restart
            # there; the digest checks those files. Others have nothing but their ETag.
            if remote.etag and not remote.is_verifiable:
                headers["If-Range"] = f'"{remote.etag}"'
        with http.stream(remote.url, headers) as response:
            status = response.status_code
            is_part = status == HTTPStatus.PARTIAL_CONTENT
            if status == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE or (
                is_part and _range_start(response) != growing.size_bytes
            ):
                growing.restart()
                raise TemporaryHttpError(f"{response.url.host} refused to go on where it stopped")
            if status == HTTPStatus.OK:
                growing.restart()
            elif not is_part:
                raise ModelUnavailableError(self._explain(response, task.name, remote.url))
            for chunk in response.iter_raw(_CHUNK_BYTES):
                if remote.size_bytes and growing.size_bytes + len(chunk) > remote.size_bytes:
                    task.partial.discard()
                    raise DigestMismatchError(
                        f"{remote.url} sends more than the {remote.size_bytes} bytes it promised; "
                        "what arrived was deleted"
                    )
                growing.write(chunk)
                report(growing.size_bytes)
        if remote.size_bytes and growing.size_bytes < remote.size_bytes:
            raise TemporaryHttpError(f"the connection to {response.url.host} ended early")
        return True

    def _explain(self, response: "httpx.Response", name: str, path: str) -> str:
        repo, revision = self._spec.repo, self._spec.revision
        page = f"{self._endpoint}/{repo}"
        match response.headers.get("X-Error-Code"), response.status_code:
            case ("RepoNotFound", _):
                what = f"the hub has no repository {repo}, or it is private"
                step = "check the name, or set HF_TOKEN to a token that may read it"
            case ("RevisionNotFound", _):
                what, step = f"{repo} has no revision {revision!r}", f"see {page}"
            case ("EntryNotFound", _) | (_, 404):
                what = f"there is no {path} in {repo} at revision {revision!r}"
                step = f"see the files at {page}/tree/{quote(revision, safe='')}"
            case (_, 401 | 403):
                what = f"{repo} is gated: the hub answered {response.status_code}"
                step = f"accept its terms at {page} and set HF_TOKEN to a token that may read it"
            case _:
                what = f"{response.url.host} answered {response.status_code}"
                step = "check HF_ENDPOINT"
        return f"cannot fetch {name}: {what}; {step}"


def _read_head(response: "httpx.Response", url: str) -> RemoteFile:
    headers = response.headers
    is_redirect = response.status_code in _REDIRECTS
    etag = headers.get("X-Linked-Etag") or ("" if is_redirect else headers.get("ETag", ""))
    size = headers.get("X-Linked-Size") or (0 if is_redirect else headers.get("Content-Length", 0))
    return RemoteFile(
        url=url,
        etag=etag.removeprefix("W/").strip('"'),
        size_bytes=int(size) if str(size).isdigit() else 0,
        commit=headers.get("X-Repo-Commit", ""),
    )


def _require_same(task: FetchTask, file: ModelFile, remote: RemoteFile) -> None:
    """Refuse a file that is not the one recorded under this reference before."""
    recorded = file.sha256 or task.pinned.get(file.name)
    if recorded and remote.sha256 and remote.sha256 != recorded:
        raise DigestMismatchError(
            f"the hub now serves other bytes for {file.name} of {task.name}: digest "
            f"{remote.sha256}, recorded was {recorded}; if the change is wanted, run "
            f"`octomil pull --force {task.name}`"
        )


def _verify(task: FetchTask, name: str, remote: RemoteFile, *, sha256: str) -> None:
    if remote.sha256:
        task.require_digest(name, promised=remote.sha256, arrived=sha256)
    elif remote.is_verifiable:
        blob_id = _git_blob_id(task.partial.folder / name)
        task.require_digest(name, promised=remote.etag, arrived=blob_id)
    if pinned := task.pinned.get(name):
        task.require_digest(name, promised=pinned, arrived=sha256)


def _git_blob_id(path: Path) -> str:
    digest = hashlib.sha1(f"blob {path.stat().st_size}\0".encode(), usedforsecurity=False)
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def _range_start(response: "httpx.Response") -> int | None:
    """First byte of a 206 answer, from ``Content-Range: bytes START-END/TOTAL``."""
    unit, _, span = str(response.headers.get("Content-Range", "")).partition(" ")
    start = span.partition("-")[0]
    return int(start) if unit == "bytes" and start.isdigit() else None


def _is_hex(text: str, length: int) -> bool:
    return len(text) == length and all(character in "0123456789abcdef" for character in text)
