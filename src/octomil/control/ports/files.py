"""What is known about files: uploads that can be gone on with, and the bytes that are kept."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from octomil.control.records import Blob, Upload


class Uploads(Protocol):
    """The uploads of an organisation."""

    def add(self, upload: Upload) -> None:
        """Add an upload."""

    def get(self, upload_id: str) -> Upload | None:
        """Return an upload by its id."""

    def under_way(self, now: datetime) -> Sequence[Upload]:
        """Return the uploads that are neither complete nor abandoned, oldest first."""

    def hold(self, upload_id: str) -> Upload | None:
        """Return an upload that nobody else can change before the transaction ends."""

    def renew(self, upload_id: str, expires_at: datetime) -> None:
        """Put off the moment from which an upload is abandoned."""

    def verify(self, upload_id: str, digest: str) -> None:
        """Say which blob an upload is about to become."""

    def complete(self, upload_id: str, digest: str) -> None:
        """Say which blob an upload became."""

    def delete(self, upload_id: str) -> bool:
        """Forget an upload; return False if there is none."""

    def delete_expired(self, upload_id: str, now: datetime) -> bool:
        """Forget an upload if it is abandoned; tell whether it was."""


class Blobs(Protocol):
    """What an organisation may know of the bytes that are kept."""

    def get(self, digest: str) -> Blob | None:
        """Return a blob that one of the organisation's versions or uploads refers to."""

    def claim(self, digest: str, now: datetime) -> bool:
        """Keep a blob from being removed for the grace time; do it before a row refers to it.

        Returns False, and changes nothing, if it is not there or is being removed.
        """


class BlobLedger(Protocol):
    """All the bytes that are kept, whosever they are.

    A blob's row is there before its bytes and goes after them. What nobody refers to is first
    condemned, then removed, then forgotten; what is condemned cannot be claimed.
    """

    def enter(self, blob: Blob, now: datetime) -> bool:
        """Claim a blob that is about to be kept, or is kept already.

        Returns False, and changes nothing, if it is being removed.
        """

    def get(self, digest: str) -> Blob | None:
        """Return what is known about a blob that is not condemned."""

    def condemn(self, unclaimed_since: datetime, now: datetime, limit: int) -> Sequence[Blob]:
        """Condemn blobs that nothing refers to, and nobody claimed since a moment."""

    def take_over(self, before: datetime, now: datetime, limit: int) -> Sequence[Blob]:
        """Condemn once more what was condemned before a moment and is not forgotten."""

    def is_condemned(self, digest: str, at: datetime) -> bool:
        """Tell whether a blob was last condemned at a moment, and is not forgotten."""

    def forget(self, digest: str) -> None:
        """Forget a condemned blob, whose bytes are gone."""

    def list(self, after: str, limit: int) -> Sequence[Blob]:
        """Return the blobs behind a digest, in the order of their digests."""

    def is_referred_to(self, digest: str) -> bool:
        """Tell whether a version, a complete upload or another blob refers to a blob."""

    def abandoned_uploads(self, now: datetime, limit: int) -> Sequence[Upload]:
        """Return uploads that have expired."""

    def upload_ids(self) -> frozenset[str]:
        """Return the ids of all uploads."""

    def missing(self) -> Sequence[str]:
        """Return the digests that something refers to and that have no row."""
