"""Blobs in a bucket of an object store."""

from collections.abc import Iterator

import obstore
from obstore.store import ObjectStore

from octomil.control.blobs.bucket import reached
from octomil.control.blobs.layout import is_digest, key_of, no_blob
from octomil.control.records import SpooledFile

_PIECE_BYTES = 1 << 20


class RemoteBlobs:
    """Keeps each blob as an object.

    Args:
        bucket: where they are.
    """

    def __init__(self, bucket: ObjectStore) -> None:
        self._bucket = bucket

    def put(self, file: SpooledFile) -> None:
        """Send a file, in parts where it is large, and remove it here."""
        if self.size(file.digest) != file.size_bytes:
            with reached():
                obstore.put(self._bucket, key_of(file.digest), file.path)
        file.path.unlink(missing_ok=True)

    def size(self, digest: str) -> int | None:
        """Return a blob's size in bytes, or None if there is none."""
        with reached():
            try:
                return obstore.head(self._bucket, key_of(digest))["size"]
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
        end = size if end is None else min(end, size)
        return self._pieces(digest, start, end) if start < end else iter(())

    def delete(self, digest: str) -> None:
        """Remove a blob; one that is not there is no error."""
        with reached():
            try:
                obstore.delete(self._bucket, key_of(digest))
            except FileNotFoundError:
                return

    def digests(self) -> Iterator[str]:
        """Yield the digest of every blob, in any order."""
        with reached():
            for page in obstore.list(self._bucket, "sha256"):
                for entry in page:
                    name = entry["path"].rpartition("/")[2]
                    if is_digest(name):
                        yield name

    def _pieces(self, digest: str, start: int, end: int) -> Iterator[bytes]:
        with reached():
            found = obstore.get(self._bucket, key_of(digest), options={"range": (start, end)})
            for piece in found.stream(min_chunk_size=_PIECE_BYTES):
                yield bytes(piece)
