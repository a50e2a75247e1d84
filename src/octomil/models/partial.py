"""A pull under way: a folder of files that grow at their end, and a ledger of how far they are.

The folder lies beside the place of the finished model and becomes it by one rename, so nobody ever
sees half a model. A crash leaves the folder behind; the next pull goes on from it.
"""

import errno
import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from io import FileIO
from pathlib import Path
from typing import Any, Self

from octomil.errors import InsufficientSpaceError

_LEDGER = "ledger.json"
_CHUNK_BYTES = 1 << 20
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


def format_size(size_bytes: int) -> str:
    """Write a size as disks and hubs do, in powers of 1000.

    >>> [format_size(n) for n in (512, 98_362_432, 1_117_320_768)]
    ['512 B', '98 MB', '1.1 GB']
    """
    if size_bytes >= 10**9:
        return f"{size_bytes / 1e9:.1f} GB"
    if size_bytes >= 10**6:
        return f"{size_bytes / 1e6:.0f} MB"
    return f"{size_bytes / 1e3:.0f} kB" if size_bytes >= 10**3 else f"{size_bytes} B"


@contextmanager
def space_errors(folder: Path) -> Iterator[None]:
    """Turn "no space left" while writing below `folder` into an :class:`InsufficientSpaceError`."""
    try:
        yield
    except OSError as error:
        if isinstance(error, InsufficientSpaceError) or error.errno not in _FULL:
            raise
        raise no_space(folder) from error


def no_space(folder: Path) -> InsufficientSpaceError:
    """The error for a disk that filled up while it was written to."""
    free = shutil.disk_usage(folder).free
    return InsufficientSpaceError(
        f"the disk under {folder} is full ({format_size(free)} free, or a quota is used up); free "
        "some space and run it again: it goes on where it stopped"
    )


def require_space(folder: Path, needed_bytes: int, *, purpose: str) -> None:
    """Refuse early what cannot fit.

    Raises:
        InsufficientSpaceError: fewer than `needed_bytes` are free under `folder`.
    """
    free = shutil.disk_usage(folder).free
    if needed_bytes > free:
        raise InsufficientSpaceError(
            f"{purpose} needs {format_size(needed_bytes)} under {folder}, and "
            f"{format_size(free)} are free; free some space, or set OCTOMIL_CACHE_DIR to a "
            "larger disk"
        )


def sync_folder(folder: Path) -> None:
    """Make renames inside `folder` survive a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object; empty where the file is missing or is no JSON object."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}


class GrowingFile:
    """A file that is appended to, with the digest of all it holds so far."""

    def __init__(self, file: FileIO, path: Path) -> None:
        self._file = file
        self._path = path
        self.size_bytes = 0
        self._sha256 = hashlib.sha256()

    @property
    def sha256(self) -> str:
        """Hex digest of the bytes so far."""
        return self._sha256.hexdigest()

    def write(self, data: bytes) -> None:
        """Append `data`."""
        rest = memoryview(data)
        with space_errors(self._path.parent):
            while rest:  # an unbuffered write may take less than it was given
                rest = rest[self._file.write(rest) :]
        self._sha256.update(data)
        self.size_bytes += len(data)

    def restart(self) -> None:
        """Throw away all that was written."""
        self._file.seek(0)
        self._file.truncate()
        self.size_bytes = 0
        self._sha256 = hashlib.sha256()

    def flush(self) -> None:
        """Hand every byte to the disk and wait for it."""
        with space_errors(self._path.parent):
            os.fsync(self._file.fileno())

    def resume(self, size_bytes: int | None) -> Self:
        """Keep the first `size_bytes` that are there (all, if None) and hash them."""
        while size_bytes is None or self.size_bytes < size_bytes:
            wanted = _CHUNK_BYTES if size_bytes is None else size_bytes - self.size_bytes
            chunk = self._file.read(min(_CHUNK_BYTES, wanted))
            if not chunk:
                break
            self._sha256.update(chunk)
            self.size_bytes += len(chunk)
        if size_bytes is not None and self.size_bytes < size_bytes:
            self.restart()
        self._file.truncate(self.size_bytes)
        self._file.seek(self.size_bytes)
        return self


@contextmanager
def opened_alone(path: Path) -> Iterator[FileIO]:
    """Open a file to go on with, once no other process does."""
    with space_errors(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        # Unbuffered: a full disk then shows at the write, not once more when the file is closed.
        with os.fdopen(handle, "r+b", buffering=0) as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            if _is_still_at(path, file):  # else the one we waited for has put it in its place
                yield file
                return


def _is_still_at(path: Path, file: FileIO) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(file.fileno()))
    except FileNotFoundError:
        return False


def write_json(path: Path, value: Any) -> None:
    """Replace `path` as a whole, durably; of several who do so at once the last one's stays."""
    text = json.dumps(value, indent=2, sort_keys=True) + "\n"
    beside = path.with_name(path.name + ".new")
    with opened_alone(beside) as file:
        growing = GrowingFile(file, beside)
        growing.restart()
        growing.write(text.encode())
        growing.flush()
        beside.replace(path)


class Partial:
    """The folder of a pull under way. Used by one process at a time: its model's lock is held."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def begin(self, origin: str) -> None:
        """Open the folder for files from `origin`; leavings of another origin are thrown away."""
        ledger = read_json(self.folder / _LEDGER)
        if ledger.get("origin") != origin:
            self.discard()
            with space_errors(self.folder.parent):
                self.folder.mkdir(parents=True, exist_ok=True)
                write_json(self.folder / _LEDGER, {"origin": origin, "files": {}})

    def discard(self) -> None:
        """Delete all of it."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def state(self, name: str) -> dict[str, Any]:
        """What the ledger says about a file; empty at the start."""
        files = read_json(self.folder / _LEDGER).get("files")
        state = files.get(name) if isinstance(files, dict) else None
        return state if isinstance(state, dict) else {}

    def record(self, name: str, **state: Any) -> None:
        """Replace what the ledger says about a file, durably."""
        ledger = read_json(self.folder / _LEDGER)
        ledger.setdefault("files", {})[name] = state
        with space_errors(self.folder):
            write_json(self.folder / _LEDGER, ledger)

    @contextmanager
    def open(self, name: str, *, size_bytes: int | None = None) -> Iterator[GrowingFile]:
        """Open a file for appending after its first `size_bytes` (all that are there, if None)."""
        path = self.folder / name
        path.touch()
        # Unbuffered: a full disk then shows at the write, not once more when the file is closed.
        with path.open("r+b", buffering=0) as file:
            yield GrowingFile(file, path).resume(size_bytes)

    def held_bytes(self) -> int:
        """Bytes that earlier tries left here."""
        if not self.folder.is_dir():
            return 0
        return sum(path.stat().st_size for path in self.folder.iterdir() if path.is_file())

    def publish(self, target: Path) -> None:
        """Become the finished model at `target`, in place of what was there."""
        sync_folder(self.folder)
        replaced = target.with_name(target.name + ".replaced")
        if target.exists():
            shutil.rmtree(replaced, ignore_errors=True)
            target.rename(replaced)
        self.folder.rename(target)
        sync_folder(target.parent)
        (target / _LEDGER).unlink(missing_ok=True)
        shutil.rmtree(replaced, ignore_errors=True)
