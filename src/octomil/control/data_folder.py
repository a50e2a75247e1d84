"""The folder that the control plane keeps everything in, unless told to keep it elsewhere."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from filelock import FileLock, Timeout

from octomil.control.durable import sync_file, sync_folder
from octomil.errors import DataFolderError

FORMAT = "octomil control plane, format 1\n"
"""What the file `FORMAT` says; a later form says something else."""

_UNFINISHED = "FORMAT.new"
_OWN = {"FORMAT", _UNFINISHED, "lock"}


@dataclass(frozen=True, slots=True)
class DataFolder:
    """Where things are in the folder."""

    path: Path

    @property
    def database_path(self) -> Path:
        """Where the rows are."""
        return self.path / "octomil.sqlite3"

    @property
    def database_url(self) -> str:
        """The same, as a URL."""
        return f"sqlite:///{quote(str(self.database_path))}"

    @property
    def blobs(self) -> Path:
        """Where the blobs are."""
        return self.path / "blobs"

    @property
    def blob_url(self) -> str:
        """The same, as a URL."""
        return self.blobs.as_uri()

    @property
    def uploads(self) -> Path:
        """Where uploads under way are."""
        return self.path / "uploads"


def is_data_folder(path: Path) -> bool:
    """Tell whether a folder is a control plane's, of whatever version."""
    mark = path / "FORMAT"
    return mark.is_file() and mark.read_bytes().startswith(b"octomil control plane, ")


def data_folder_at(path: Path) -> DataFolder:
    """Return a folder that is there, whether somebody uses it or not; nothing in it is changed.

    Raises:
        DataFolderError: it is no control plane's, or has a format that is not known here.
    """
    path = path.absolute()
    if not is_data_folder(path):
        raise DataFolderError(f"{path} is no folder of a control plane's")
    _check_format(path)
    return DataFolder(path)


def mark_folder(path: Path) -> None:
    """Make a folder a control plane's; whenever this ends, its mark is whole or absent."""
    beside = path / _UNFINISHED
    beside.write_text(FORMAT, encoding="utf-8")
    sync_file(beside)
    beside.rename(path / "FORMAT")
    sync_folder(path)


@contextmanager
def kept_from_others() -> Iterator[None]:
    """Let files that this process makes in the block be for its own user alone.

    Keys are among them, and the folder may be one that others can look into.
    """
    before = os.umask(0o077)
    try:
        yield
    finally:
        os.umask(before)


@contextmanager
def open_data_folder(path: Path) -> Iterator[DataFolder]:
    """Make the folder if need be, and keep others out of it until the block ends.

    Raises:
        DataFolderError: it is used already, is something else's, has a format that is not known
            here, or cannot be made or written.
    """
    path = path.absolute()
    lock = _lock(path)
    try:
        yield DataFolder(path)
    finally:
        lock.release()


def _lock(path: Path) -> FileLock:
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = FileLock(path / "lock", timeout=0, mode=0o600)
        lock.acquire()
    except Timeout:
        raise DataFolderError(
            f"{path} is used by another `octomil up`; stop that one, or give this one a folder of "
            "its own with --data-dir"
        ) from None
    except OSError as error:
        raise cannot_be_used(path, error) from error
    try:
        _check_format(path)
    except OSError as error:
        lock.release()
        raise cannot_be_used(path, error) from error
    except BaseException:
        lock.release()
        raise
    return lock


def cannot_be_used(path: Path, error: OSError) -> DataFolderError:
    """Return the error for a folder that the system lets nobody write."""
    return DataFolderError(f"{path} cannot be used: {error}")


def _check_format(path: Path) -> None:
    mark = path / "FORMAT"
    if mark.is_file():
        found = mark.read_text(encoding="utf-8", errors="replace")
        if found != FORMAT:
            raise DataFolderError(
                f"{path} has the format {found.strip()!r}, which this version of Octomil does not "
                "know; start the version that wrote it"
            )
        return
    if any(entry.name not in _OWN for entry in path.iterdir()):
        raise DataFolderError(
            f"{path} is not empty and no folder of the control plane's; give --data-dir another"
        )
    mark_folder(path)
