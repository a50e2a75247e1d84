"""Uploads under way: a file each, hashed while it grows, gone on with after a restart."""

import errno
import hashlib
import os
import shutil
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from threading import Event, Lock
from typing import Protocol

from octomil.control.blobs.layout import require_upload_id
from octomil.control.disk_faults import NO_SPACE
from octomil.control.durable import make_root, sync_file, sync_folder
from octomil.control.records import SpooledFile
from octomil.errors import (
    ConflictError,
    InsufficientSpaceError,
    NotFoundError,
    ServiceUnavailableError,
)

MAX_REMEMBERED = 1024
"""Of so many uploads the hash is kept in memory; that of others is made again from the file."""

_PIECE_BYTES = 1 << 20
_SUFFIX = ".part"


class _Hash(Protocol):
    def update(self, data: bytes, /) -> None: ...

    def hexdigest(self) -> str: ...


@dataclass(slots=True)
class _Upload:
    """What is known about an upload besides its file.

    Attributes:
        offset: how many bytes the hash has seen, which is how many the file has.
    """

    hash: _Hash = field(default_factory=hashlib.sha256)
    offset: int = 0
    lock: Lock = field(default_factory=Lock)


class UploadSpool:
    """Keeps uploads in a folder.

    Args:
        folder: made if need be; on the file system of the blobs, finishing an upload copies
            nothing.
    """

    def __init__(self, folder: Path) -> None:
        make_root(folder)
        self._folder = folder
        _clear(self.scratch)
        self._uploads: OrderedDict[str, _Upload] = OrderedDict()
        self._lock = Lock()
        self._is_closing = Event()

    def close(self) -> None:
        """Give up what is being read to be finished, by a `ServiceUnavailableError`; it stays."""
        self._is_closing.set()

    def require_open(self) -> None:
        """Return if the end has not come.

        Raises:
            ServiceUnavailableError: it has.
        """
        if self._is_closing.is_set():
            raise ServiceUnavailableError(
                "the server is stopping; go on with the upload once it is back",
                {"retry_after_s": 5},
            )

    def offset(self, upload_id: str) -> int:
        """Return how many bytes of an upload are here; 0 for one that has not begun."""
        try:
            return self._path(upload_id).stat().st_size
        except FileNotFoundError:
            return 0

    def has(self, upload_id: str) -> bool:
        """Tell whether an upload has begun here, if only with no bytes."""
        return self._path(upload_id).exists()

    def append(self, upload_id: str, offset: int, data: bytes) -> int:
        """Add bytes to an upload and return the new offset.

        Raises:
            ConflictError: `offset` is not where the upload stands; `details["offset"]` says where.
            InsufficientSpaceError: the disk is full; the upload stands where it stood.
        """
        upload = self._upload(upload_id)
        with upload.lock:
            self._catch_up(upload_id, upload)
            if offset != upload.offset:
                raise ConflictError(
                    f"the upload stands at byte {upload.offset}, not at {offset}; go on from there",
                    {"offset": upload.offset},
                )
            self._write(self._path(upload_id), offset, data)
            upload.hash.update(data)
            upload.offset += len(data)
            return upload.offset

    def finish(self, upload_id: str) -> SpooledFile:
        """Return a whole upload; its bytes survive a loss of power from now on.

        Raises:
            NotFoundError: there is no such upload.
            ServiceUnavailableError: the end came before all of it was hashed.
        """
        path, upload = self._path(upload_id), self._upload(upload_id)
        with upload.lock:
            self.sync(upload_id)
            self._catch_up(upload_id, upload)
            return SpooledFile(path=path, digest=upload.hash.hexdigest(), size_bytes=upload.offset)

    def sync(self, upload_id: str) -> None:
        """Make what is here of an upload survive a loss of power.

        Raises:
            NotFoundError: there is no such upload.
        """
        try:
            sync_file(self._path(upload_id))
        except FileNotFoundError:
            raise _no_upload(upload_id) from None
        sync_folder(self._folder)

    def untouched(self, since: datetime) -> Sequence[str]:
        """Return the ids of uploads that did not grow since a moment."""
        before_s = since.timestamp()
        files = self._folder.glob(f"*{_SUFFIX}")
        return [path.stem for path in files if _modified_s(path) < before_s]

    def adopt(self, path: Path) -> SpooledFile:
        """Take in a file of this machine that is complete; it survives a loss of power then."""
        sync_file(path)
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        return SpooledFile(path=path, digest=digest, size_bytes=path.stat().st_size)

    @property
    def scratch(self) -> Path:
        """A folder beside the uploads, emptied at the start."""
        return self._folder / "scratch"

    def drop(self, upload_id: str) -> None:
        """Forget an upload; one that is not there is no error."""
        with self._lock:
            self._uploads.pop(upload_id, None)
        self._path(upload_id).unlink(missing_ok=True)

    def _path(self, upload_id: str) -> Path:
        require_upload_id(upload_id)
        return self._folder / f"{upload_id}{_SUFFIX}"

    def _upload(self, upload_id: str) -> _Upload:
        with self._lock:
            upload = self._uploads.setdefault(upload_id, _Upload())
            self._uploads.move_to_end(upload_id)
            if len(self._uploads) > MAX_REMEMBERED:
                self._forget_an_idle_one()
            return upload

    def _forget_an_idle_one(self) -> None:
        idle = next((name for name, each in self._uploads.items() if not each.lock.locked()), None)
        if idle is not None:
            del self._uploads[idle]

    def _catch_up(self, upload_id: str, upload: _Upload) -> None:
        """Hash what the file has and the hash has not seen: all of it, after a restart."""
        size = self.offset(upload_id)
        if size < upload.offset:  # the file was dropped meanwhile, and begins anew
            upload.hash, upload.offset = hashlib.sha256(), 0
        if size == upload.offset:
            return
        with self._path(upload_id).open("rb") as file:
            file.seek(upload.offset)
            while piece := file.read(_PIECE_BYTES):
                self.require_open()
                upload.hash.update(piece)
                upload.offset += len(piece)

    def _write(self, path: Path, offset: int, data: bytes) -> None:
        with path.open("ab", buffering=0) as file:
            try:
                rest = memoryview(data)
                while rest:
                    rest = rest[file.write(rest) :]
            except OSError as error:
                os.truncate(path, offset)
                if error.errno in NO_SPACE:
                    message = f"the disk has no room for the next {len(data)} bytes of the upload"
                    raise InsufficientSpaceError(message) from error
                raise


def _clear(folder: Path) -> None:
    """Empty a folder, made if need be.

    Children of a server that was killed may write there for another moment: what they leave goes at
    the next start.

    Raises:
        OSError: nothing can be removed or made there.
    """
    try:
        shutil.rmtree(folder)
    except FileNotFoundError:
        pass  # nothing was there, or a child took away what was its own
    except OSError as error:
        if error.errno != errno.ENOTEMPTY:
            raise
    folder.mkdir(mode=0o700, exist_ok=True)


def _modified_s(path: Path) -> float:
    """Return when a file last grew; for one that has just gone, never."""
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return float("inf")


def _no_upload(upload_id: str) -> NotFoundError:
    return NotFoundError(f"there is no upload {upload_id!r}")
