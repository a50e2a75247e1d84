"""Backups of a data folder: taken while it is in use, and put back where nothing is yet.

A backup is a folder of the same layout. The rows are copied by SQLite itself, all from one moment;
the files never change, so those that the rows of that moment refer to are copied around it.
"""

import hashlib
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import mkdtemp

from octomil.control.blobs.layout import key_of
from octomil.control.data_folder import DataFolder, data_folder_at, is_data_folder, mark_folder
from octomil.control.durable import make_folders, sync_file, sync_folder
from octomil.control.plan_numbers import EPOCH_SETTING, RESTORED_SETTING, epoch_at
from octomil.errors import ConfigurationError, DataFolderError

_PIECE_BYTES = 1 << 20
_TRIES = 5
_NOTED = "SELECT digest FROM blobs WHERE condemned_at IS NULL ORDER BY digest"
_WANTED = """
    SELECT digest FROM version_files
    UNION SELECT digest FROM uploads WHERE digest IS NOT NULL
    UNION SELECT safetensors_digest FROM blobs WHERE safetensors_digest IS NOT NULL
"""


@dataclass(frozen=True, slots=True)
class Copied:
    """What a backup or a restore has copied."""

    files: int
    bytes: int


def back_up(folder: DataFolder, target: Path) -> Copied:
    """Copy a data folder, which may be in use, to `target`.

    Raises:
        DataFolderError: there is something at `target`, now or at the end, or a file of the folder
            is damaged.
    """
    return _made(folder, target, lambda _: None)


def _made(folder: DataFolder, target: Path, change: Callable[[Path], None]) -> Copied:
    """Copy a data folder, and change the copied database before the copy is there."""
    target = target.absolute()  # SQLite is given it as a URI
    partial = _begin(target)
    try:
        copied = _copy(folder, partial)
        change(partial / folder.database_path.name)
        _finish(partial, target)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    return copied


def _copy(folder: DataFolder, partial: Path) -> Copied:
    """Copy the rows, and the files that they note.

    Raises:
        DataFolderError: something is damaged, or files go faster than they are copied.
    """
    database = partial / folder.database_path.name
    for _ in range(_TRIES):
        _copy_database(folder.database_path, database)
        copied = _copy_files(folder, partial, database)
        if copied is not None:
            return copied
    raise DataFolderError(f"{folder.path} changes too fast to be copied; try again")


def restore(backup: Path, target: Path) -> Copied:
    """Make a data folder of a backup; every file is checked on the way.

    It notes that it was restored: devices may know tokens and plans that came after the backup.

    Raises:
        DataFolderError: `backup` is none, damaged, or of a format that is not known here; or there
            is something at `target`.
    """
    if not is_data_folder(backup) or not DataFolder(backup).database_path.is_file():
        raise DataFolderError(f"{backup} is no backup; `octomil backup` makes one")
    return _made(data_folder_at(backup), target, _note_restore)


def _note_restore(database: Path) -> None:
    now = datetime.now(UTC)
    with closing(sqlite3.connect(database)) as connection, connection:
        query = "SELECT value FROM settings WHERE name = ?"
        row = connection.execute(query, (EPOCH_SETTING,)).fetchone()
        epoch = epoch_at(now, before=int(row[0]) if row else 0)
        connection.executemany(
            "INSERT OR REPLACE INTO settings (name, value) VALUES (?, ?)",
            [(EPOCH_SETTING, str(epoch)), (RESTORED_SETTING, now.isoformat())],
        )
    sync_file(database)


def _begin(target: Path) -> Path:
    """Return a new folder beside a target at which there is nothing; nobody else has its name."""
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise DataFolderError(f"{target} is not empty; name a folder that is, or none")
    try:
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        return Path(mkdtemp(prefix=f"{target.name}.partial-", dir=target.parent))
    except OSError as error:
        raise DataFolderError(f"no folder can be made beside {target}: {error}") from error


def _finish(partial: Path, target: Path) -> None:
    mark_folder(partial)
    try:
        partial.rename(target)
    except OSError as error:
        raise DataFolderError(f"the copy cannot be moved to {target}: {error}") from error
    sync_folder(target.parent)


def _copy_database(source: Path, target: Path) -> None:
    """Copy a database as it is at one moment, and look it through.

    Raises:
        DataFolderError: it is damaged.
    """
    target.unlink(missing_ok=True)
    try:
        with (
            closing(sqlite3.connect(f"{source.as_uri()}?mode=ro", uri=True)) as here,
            closing(sqlite3.connect(target)) as there,
        ):
            here.backup(there)
            there.execute("PRAGMA journal_mode=DELETE")  # one file, whole by itself
            (found,) = there.execute("PRAGMA integrity_check(1)").fetchone()
    except sqlite3.DatabaseError as error:
        raise DataFolderError(f"the database {source} cannot be read: {error}") from error
    if found != "ok":
        raise DataFolderError(f"the database {source} is damaged: {found}")
    sync_file(target)


def _copy_files(folder: DataFolder, partial: Path, database: Path) -> Copied | None:
    """Copy the files that a copied database notes.

    Returns:
        None if one of them is gone that its rows refer to: it was removed since that moment.

    Raises:
        DataFolderError: one is damaged.
    """
    count = total = 0
    wanted = set(_digests(database, _WANTED))
    for digest in _digests(database, _NOTED):
        source, target = folder.blobs / key_of(digest), partial / "blobs" / key_of(digest)
        try:
            if target.exists():
                total += target.stat().st_size
            else:
                total += _copy_file(source, target, partial, digest)
            count += 1
        except FileNotFoundError:
            if digest in wanted:
                _check_is_gone(folder, digest)
                return None
    return Copied(count, total)


def _check_is_gone(folder: DataFolder, digest: str) -> None:
    """Return if a file that is gone is wanted no more.

    Raises:
        DataFolderError: it is still wanted, so it is lost.
    """
    if digest in _digests(folder.database_path, _WANTED):
        raise DataFolderError(
            f"the file {digest} is missing in {folder.path}; `octomil fsck` tells what else is"
        )


def _copy_file(source: Path, target: Path, root: Path, digest: str) -> int:
    size, found = 0, hashlib.sha256()
    with source.open("rb") as here:
        make_folders(target.parent, root)
        with target.open("wb") as there:
            while piece := here.read(_PIECE_BYTES):
                size += len(piece)
                found.update(piece)
                there.write(piece)
    if found.hexdigest() != digest:
        raise DataFolderError(
            f"the file {source} is damaged; `octomil fsck` tells which others are"
        )
    sync_file(target)
    sync_folder(target.parent)
    return size


def _digests(database: Path, query: str) -> Iterator[str]:
    with closing(sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True)) as connection:
        rows = connection.execute(query).fetchall()
    return iter([row[0] for row in rows])


def check_is_embedded(database_url: str | None, blob_url: str | None) -> None:
    """Return if everything is in the data folder.

    Raises:
        ConfigurationError: rows or files are elsewhere, where others look after their backups.
    """
    if database_url is not None or blob_url is not None:
        raise ConfigurationError(
            "DATABASE_URL or OCTOMIL_BLOB_URL keeps things outside of the data folder; back those "
            "up by their own means (pg_dump, versions of the bucket)"
        )
