"""A file brought here: resumed where it stopped, verified, and put in its place by one rename."""

import hashlib
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from octomil.errors import (
    DigestMismatchError,
    ForbiddenError,
    ServerUnreachableError,
    UnexpectedAnswerError,
)
from octomil.http.api import ApiClient
from octomil.http.exchange import Request
from octomil.http.problems import unexpected
from octomil.http.retry import Backoff
from octomil.models.partial import GrowingFile, opened_alone, sync_folder

if TYPE_CHECKING:
    import httpx

_OK, _PARTIAL_CONTENT = 200, 206


@dataclass(frozen=True, kw_only=True)
class RemoteFile:
    """A file that can be fetched.

    Attributes:
        name: in messages and progress.
        url: returns where it is, for a while; it needs no key. Asked again once that is over (403).
        sha256: 64 hexadecimal digits.
        size_bytes: of the whole file.
    """

    name: str
    url: Callable[[], str]
    sha256: str
    size_bytes: int


class Downloader:
    """Fetches files.

    Args:
        api: opens the connections.
        report: called with a file's name, the bytes that are here, and the bytes there will be.
        backoff: patience with a connection that breaks; what arrives renews it.
        sleep: waits some seconds.
    """

    def __init__(
        self,
        api: ApiClient,
        report: Callable[[str, int, int], None] = lambda _name, _done, _total: None,
        *,
        backoff: Backoff | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._api = api
        self._report = report
        self._backoff = backoff or Backoff()
        self._sleep = sleep
        self._rng = random.Random()

    def fetch(self, remote: RemoteFile, target: Path) -> Path:
        """Bring a file to `target`, which is either the whole file or what it was before.

        What arrives is kept beside it until it is whole, so that the next try goes on from there;
        a crash or a loss of power at any point harms nothing.

        Raises:
            DigestMismatchError: other bytes arrived than were promised; they are deleted.
            InsufficientSpaceError: the disk is full.
            OctomilClientError: the control plane refuses, or does not answer.
        """
        if _is_whole(target, remote):
            return target
        beside = target.with_name(f".{target.name}.{remote.sha256[:16]}.part")
        with opened_alone(beside) as file:
            growing = GrowingFile(file, beside).resume(None)
            if growing.size_bytes > remote.size_bytes:
                growing.restart()
            self._fill(growing, remote)
            if growing.sha256 != remote.sha256:
                beside.unlink()
                raise DigestMismatchError(
                    f"{remote.name} is not what was promised: expected SHA-256 {remote.sha256}, "
                    f"got {growing.sha256}; what arrived was deleted, so trying again starts afresh"
                )
            growing.flush()
            beside.replace(target)
        sync_folder(target.parent)
        return target

    def _fill(self, file: GrowingFile, remote: RemoteFile) -> None:
        failures = 0
        self._report(remote.name, file.size_bytes, remote.size_bytes)
        url, is_new = remote.url(), True
        while file.size_bytes < remote.size_bytes:
            before = file.size_bytes
            try:
                self._receive(file, remote, url)
            except ForbiddenError:
                if is_new:
                    raise
                url, is_new = remote.url(), True
            except ServerUnreachableError:
                is_new = False
                failures = 1 if file.size_bytes > before else failures + 1
                jitter = self._rng.random()
                delay_s = self._backoff.delay_s(failures, retry_after_s=None, jitter=jitter)
                if delay_s is None:
                    raise
                self._sleep(delay_s)
            else:
                if file.size_bytes != remote.size_bytes:
                    raise UnexpectedAnswerError(
                        f"{remote.name} has {remote.size_bytes:,} bytes, and the server's answer "
                        f"ended after {file.size_bytes:,}"
                    )

    def _receive(self, file: GrowingFile, remote: RemoteFile, url: str) -> None:
        """Append one answer."""
        headers = {"Accept-Encoding": "identity"}  # the bytes are hashed as they come
        if file.size_bytes:
            headers["Range"] = f"bytes={file.size_bytes}-"
        request = Request(method="GET", path=url, headers=headers, is_authorised=False)
        with self._api.stream(request) as answer:
            if not _goes_on_at(file.size_bytes, answer):
                file.restart()
            for chunk in answer.iter_raw():
                if file.size_bytes + len(chunk) > remote.size_bytes:
                    file.restart()
                    raise UnexpectedAnswerError(
                        f"the server sends more than the {remote.size_bytes:,} bytes that "
                        f"{remote.name} has"
                    )
                file.write(chunk)
                self._report(remote.name, file.size_bytes, remote.size_bytes)


def _goes_on_at(offset: int, answer: "httpx.Response") -> bool:
    """Tell whether an answer is the rest of a file; it may be all of it instead.

    Raises:
        UnexpectedAnswerError: it is neither.
    """
    if answer.status_code == _PARTIAL_CONTENT:
        if not answer.headers.get("Content-Range", "").startswith(f"bytes {offset}-"):
            raise UnexpectedAnswerError(
                f"{answer.url} answered with {answer.headers.get('Content-Range')!r} when asked "
                f"for the bytes from {offset:,} on"
            )
        return True
    if answer.status_code != _OK:
        answer.read()
        raise unexpected(answer)
    return offset == 0


def _is_whole(path: Path, remote: RemoteFile) -> bool:
    if not path.is_file() or path.stat().st_size != remote.size_bytes:
        return False
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() == remote.sha256
