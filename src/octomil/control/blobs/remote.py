"""Blobs in an object store: S3, Google Cloud Storage or Azure, by obstore.

Credentials and endpoints come from the variables that each of these services documents, such as
`AWS_ACCESS_KEY_ID` and `AWS_ENDPOINT_URL`.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import obstore
from obstore.exceptions import BaseError
from obstore.store import ObjectStore, from_url

from octomil.control.blobs.layout import is_digest, key_of, no_blob
from octomil.control.records import SpooledFile
from octomil.errors import ConfigurationError, ServiceUnavailableError

_PATIENCE = timedelta(seconds=30)
_PIECE_BYTES = 1 << 20


class RemoteBlobs:
    """Keeps each blob as an object.

    Args:
        url: of the bucket, with a prefix if need be, such as `s3://BUCKET/octomil`.

    Raises:
        ConfigurationError: the URL, or a variable it needs, makes no sense.
    """

    def __init__(self, url: str) -> None:
        try:
            self._store: ObjectStore = from_url(
                url,
                retry_config={"max_retries": 4, "retry_timeout": _PATIENCE},
                client_options={"allow_http": True},  # who names an http endpoint means it
            )
        except (BaseError, ValueError) as error:
            raise ConfigurationError(f"OCTOMIL_BLOB_URL cannot be used: {error}") from error

    def put(self, file: SpooledFile) -> None:
        """Send a file, in parts where it is large, and remove it here."""
        if self.size(file.digest) is None:
            with _reached():
                obstore.put(self._store, key_of(file.digest), file.path)
        file.path.unlink(missing_ok=True)

    def size(self, digest: str) -> int | None:
        """Return a blob's size in bytes, or None if there is none."""
        with _reached():
            try:
                return obstore.head(self._store, key_of(digest))["size"]
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
        with _reached():
            try:
                obstore.delete(self._store, key_of(digest))
            except FileNotFoundError:
                return

    def digests(self) -> Iterator[str]:
        """Yield the digest of every blob, in any order."""
        with _reached():
            for page in obstore.list(self._store, "sha256"):
                for entry in page:
                    name = entry["path"].rpartition("/")[2]
                    if is_digest(name):
                        yield name

    def _pieces(self, digest: str, start: int, end: int) -> Iterator[bytes]:
        with _reached():
            found = obstore.get(self._store, key_of(digest), options={"range": (start, end)})
            for piece in found.stream(min_chunk_size=_PIECE_BYTES):
                yield bytes(piece)


@contextmanager
def _reached() -> Iterator[None]:
    """Turn what the object store says into our errors."""
    try:
        yield
    except FileNotFoundError:
        raise
    except BaseError as error:
        raise ServiceUnavailableError(f"the object store does not answer: {error}") from error
