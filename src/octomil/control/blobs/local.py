"""Blobs in a folder of this machine.

obstore's local store would do, but it does not wait for the disk.
"""

import errno
import secrets
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from octomil.control.blobs.layout import is_digest, key_of, no_blob
from octomil.control.durable import (
    make_folders,
    make_root,
    remove_file,
    sync_file,
    sync_folder,
)
from octomil.control.records import SpooledFile

_PIECE_BYTES = 1 << 20
_COPYING = "incoming"
_LEFT = timedelta(hours=24)
"""A copy that has not grown for so long is nobody's any more."""


class LocalBlobs:
    """Keeps each blob in a file of its own.

    Args:
        root: made if need be.
    """

    def __init__(self, root: Path) -> None:
        make_root(root)
        self._root = root

    def put(self, file: SpooledFile) -> None:
        """Move a file to its place: one rename on the same file system, a copy and one elsewhere.

        The file's own content is on the disk already; here it is its name that must get there. A
        blob that is here already is replaced, at no cost: it may have been damaged meanwhile.
        """
        place = self._path(file.digest)
        make_folders(place.parent, self._root)
        try:
            file.path.rename(place)
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            self._copy(file.path, place)
        sync_folder(place.parent)

    def size(self, digest: str) -> int | None:
        """Return a blob's size in bytes, or None if there is none."""
        try:
            return self._path(digest).stat().st_size
        except FileNotFoundError:
            return None

    def read(self, digest: str, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """Return a blob's bytes from `start` to before `end`, in pieces.

        Raises:
            NotFoundError: there is no such blob.
        """
        size = self.size(digest)
        if size is None:
            raise no_blob(digest)
        return self._pieces(digest, start, size if end is None else min(end, size))

    def delete(self, digest: str) -> None:
        """Remove a blob, for good; one that is not there is no error."""
        remove_file(self._path(digest))

    def digests(self) -> Iterator[str]:
        """Yield the digest of every blob, in any order."""
        for path in (self._root / "sha256").glob("??/??/*"):
            if is_digest(path.name):
                yield path.name

    def _path(self, digest: str) -> Path:
        return self._root / key_of(digest)

    def _pieces(self, digest: str, start: int, end: int) -> Iterator[bytes]:
        with self._path(digest).open("rb") as file:
            file.seek(start)
            while start < end and (piece := file.read(min(_PIECE_BYTES, end - start))):
                start += len(piece)
                yield piece

    def _copy(self, source: Path, place: Path) -> None:
        """Copy a file to its place, which never has a part of it."""
        coming = self._root / _COPYING
        coming.mkdir(mode=0o700, exist_ok=True)
        _drop_left(coming)
        beside = coming / f"{place.name}.{secrets.token_hex(8)}.part"
        try:
            shutil.copyfile(source, beside)
            sync_file(beside)
            beside.rename(place)
        finally:
            beside.unlink(missing_ok=True)
        source.unlink()


def _drop_left(folder: Path) -> None:
    """Remove copies that were under way when their server died."""
    before_s = (datetime.now(UTC) - _LEFT).timestamp()
    for path in folder.iterdir():
        try:
            if path.stat().st_mtime < before_s:
                path.unlink()
        except FileNotFoundError:
            continue  # it has just come to its place
