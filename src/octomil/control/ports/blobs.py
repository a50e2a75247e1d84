"""Files: uploads under way, and what is kept."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Protocol

from octomil.control.records import SpooledFile


class Spool(Protocol):
    """Uploads under way, each of which grows at its end; whole ones are files of this machine."""

    def offset(self, upload_id: str) -> int:
        """Return where an upload can be gone on with; 0 for one that has not begun."""

    def append(self, upload_id: str, offset: int, data: bytes) -> int:
        """Add bytes to an upload and return the new offset.

        Those that were not synced may be lost; an offset before them may be taken again then.

        Raises:
            ConflictError: `offset` is not where the upload stands; `details["offset"]` says where.
            InsufficientSpaceError: the disk is full; the upload stands where it stood.
        """

    def finish(self, upload_id: str) -> SpooledFile:
        """Return a whole upload; its bytes survive a loss of power from now on.

        Raises:
            NotFoundError: there is no such upload.
        """

    def sync(self, upload_id: str) -> None:
        """Make what is here of an upload survive a loss of power.

        Raises:
            NotFoundError: there is no such upload.
            ConflictError: another replica went on from the same offset.
        """

    def drop(self, upload_id: str) -> None:
        """Forget an upload; one that is not there is no error."""

    def untouched(self, since: datetime) -> Sequence[str]:
        """Return the ids of uploads that did not grow since a moment."""

    def adopt(self, path: Path) -> SpooledFile:
        """Take in a file of this machine that is complete; it survives a loss of power then."""

    @property
    def scratch(self) -> Path:
        """A folder beside the uploads, emptied at the start."""

    def close(self) -> None:
        """Give up what is being read to be finished, by a `ServiceUnavailableError`; it stays."""


class BlobStore(Protocol):
    """Immutable bytes, each under the SHA-256 of its content."""

    def put(self, file: SpooledFile) -> None:
        """Take a file over, which is gone afterwards; a blob that was cut short is whole again.

        When this returns, a loss of power cannot undo it.
        """

    def size(self, digest: str) -> int | None:
        """Return a blob's size in bytes, or None if there is none."""

    def read(self, digest: str, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """Return a blob's bytes from `start` to before `end`, in pieces.

        Raises:
            NotFoundError: there is no such blob; told at the call, not at the first piece.
        """

    def delete(self, digest: str) -> None:
        """Remove a blob; one that is not there is no error."""

    def digests(self) -> Iterator[str]:
        """Yield the digest of every blob, in any order."""
