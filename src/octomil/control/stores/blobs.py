"""The bytes that are kept: what is known about them, and who refers to them."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    Connection,
    Index,
    RowMapping,
    Table,
    delete,
    exists,
    or_,
    select,
    union,
    update,
)

from octomil.control.records import Blob, Upload
from octomil.control.stores.columns import PLAIN_TEXT, JsonText, Moment
from octomil.control.stores.schema import insert_new, metadata
from octomil.control.stores.uploads import abandoned_uploads, upload_ids, uploads
from octomil.control.stores.version_files import version_files
from octomil.convert.formats import ONNX_DATA

blobs = Table(
    "blobs",
    metadata,
    Column("digest", PLAIN_TEXT, primary_key=True),
    Column("size_bytes", BigInteger, nullable=False),
    Column("format", PLAIN_TEXT, nullable=False),
    Column("unknown_imports", JsonText, nullable=False),
    Column("safetensors_digest", PLAIN_TEXT),
    Column("safetensors_bytes", BigInteger),
    Column("not_converted", PLAIN_TEXT),
    Column("claimed_at", Moment, nullable=False),
    Column("condemned_at", Moment),
    Index("ix_blobs_safetensors_digest", "safetensors_digest"),
    Index("ix_blobs_claimed_at", "claimed_at"),
)
"""No organisation's own: the same bytes are kept once, and only by its references is one told."""

_parents = blobs.alias("parents")
_free = blobs.c.condemned_at.is_(None)


class BlobRows:
    """What an organisation may know of the bytes that are kept."""

    def __init__(self, connection: Connection, organisation: str) -> None:
        self._connection = connection
        self._held = or_(
            exists().where(
                version_files.c.organisation == organisation,
                version_files.c.digest == blobs.c.digest,
            ),
            exists().where(
                uploads.c.organisation == organisation, uploads.c.digest == blobs.c.digest
            ),
        )

    def get(self, digest: str) -> Blob | None:
        """Return a blob that one of the organisation's versions or uploads refers to."""
        query = select(blobs).where(self._held, blobs.c.digest == digest)
        row = self._connection.execute(query).mappings().one_or_none()
        return None if row is None else _blob(row)

    def claim(self, digest: str, now: datetime) -> bool:
        """Keep a blob from being removed for the grace time."""
        return _claim(self._connection, digest, now)


class BlobLedgerRows:
    """All the bytes that are kept, whosever they are."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def enter(self, blob: Blob, now: datetime) -> bool:
        """Claim a blob that is about to be kept, or is kept already."""
        digest, size_bytes = blob.safetensors or (None, None)
        row = {
            "digest": blob.digest,
            "size_bytes": blob.size_bytes,
            "format": blob.format,
            "unknown_imports": list(blob.unknown_imports),
            "safetensors_digest": digest,
            "safetensors_bytes": size_bytes,
            "not_converted": blob.not_converted,
            "claimed_at": now,
        }
        if insert_new(self._connection, blobs, row):
            return True
        learnt = {name: row[name] for name in row if name.startswith(("safetensors", "not_"))}
        known = update(blobs).where(blobs.c.digest == blob.digest, _free)
        self._connection.execute(known.values(learnt))
        if blob.format != ONNX_DATA:  # as which some bytes were kept that nobody had looked through
            unseen = known.where(blobs.c.format == ONNX_DATA)
            told = {name: row[name] for name in ("format", "unknown_imports")}
            self._connection.execute(unseen.values(told))
        return _claim(self._connection, blob.digest, now)

    def get(self, digest: str) -> Blob | None:
        """Return what is known about a blob that is not condemned."""
        query = select(blobs).where(blobs.c.digest == digest, _free)
        row = self._connection.execute(query).mappings().one_or_none()
        return None if row is None else _blob(row)

    def condemn(self, unclaimed_since: datetime, now: datetime, limit: int) -> Sequence[Blob]:
        """Condemn blobs that nothing refers to, and nobody claimed since a moment.

        The condition on the claim is met by the row itself, not only by the subquery: on Postgres
        it is asked again once a claim that was under way has been committed.
        """
        old = blobs.c.claimed_at < unclaimed_since
        some = select(blobs.c.digest).where(_free, old, _unreferenced()).limit(limit)
        doomed = update(blobs).where(blobs.c.digest.in_(some), _free, old)
        rows = self._connection.execute(doomed.values(condemned_at=now).returning(blobs))
        return [_blob(row) for row in rows.mappings()]

    def take_over(self, before: datetime, now: datetime, limit: int) -> Sequence[Blob]:
        """Condemn once more what was condemned before a moment and is not forgotten."""
        old = blobs.c.condemned_at < before
        some = select(blobs.c.digest).where(old).limit(limit)
        taken = update(blobs).where(blobs.c.digest.in_(some), old).values(condemned_at=now)
        rows = self._connection.execute(taken.returning(blobs))
        return [_blob(row) for row in rows.mappings()]

    def is_condemned(self, digest: str, at: datetime) -> bool:
        """Tell whether a blob was last condemned at a moment, and is not forgotten."""
        condemned = (blobs.c.digest == digest) & (blobs.c.condemned_at == at)
        return self._connection.execute(select(blobs.c.digest).where(condemned)).first() is not None

    def forget(self, digest: str) -> None:
        """Forget a condemned blob, whose bytes are gone."""
        gone = delete(blobs).where(blobs.c.digest == digest, blobs.c.condemned_at.is_not(None))
        self._connection.execute(gone)

    def list(self, after: str, limit: int) -> Sequence[Blob]:
        """Return the blobs behind a digest, in the order of their digests."""
        query = select(blobs).where(blobs.c.digest > after).order_by(blobs.c.digest).limit(limit)
        return [_blob(row) for row in self._connection.execute(query).mappings()]

    def is_referred_to(self, digest: str) -> bool:
        """Tell whether a version, a complete upload or another blob refers to a blob."""
        query = select(blobs.c.digest).where(blobs.c.digest == digest, _unreferenced())
        known = select(blobs.c.digest).where(blobs.c.digest == digest)
        found = self._connection.execute
        return found(known).first() is not None and found(query).first() is None

    def abandoned_uploads(self, now: datetime, limit: int) -> Sequence[Upload]:
        """Return uploads that have expired."""
        return abandoned_uploads(self._connection, now, limit)

    def upload_ids(self) -> frozenset[str]:
        """Return the ids of all uploads."""
        return upload_ids(self._connection)

    def missing(self) -> Sequence[str]:
        """Return the digests that are referred to and have no row."""
        referred = union(
            select(version_files.c.digest),
            select(uploads.c.digest).where(uploads.c.digest.is_not(None)),
            select(blobs.c.safetensors_digest).where(blobs.c.safetensors_digest.is_not(None)),
        ).subquery()
        known = exists().where(blobs.c.digest == referred.c.digest)
        query = select(referred.c.digest).where(~known).order_by(referred.c.digest)
        return self._connection.execute(query).scalars().all()


def _claim(connection: Connection, digest: str, now: datetime) -> bool:
    change = update(blobs).where(blobs.c.digest == digest, _free).values(claimed_at=now)
    return connection.execute(change).rowcount == 1


def _unreferenced() -> ColumnElement[bool]:
    return ~or_(
        exists().where(version_files.c.digest == blobs.c.digest),
        exists().where(uploads.c.digest == blobs.c.digest),
        exists().where(_parents.c.safetensors_digest == blobs.c.digest),
    )


def _blob(row: RowMapping) -> Blob:
    digest: str | None = row["safetensors_digest"]
    made: Any = None if digest is None else (digest, row["safetensors_bytes"])
    return Blob(
        digest=row["digest"],
        size_bytes=row["size_bytes"],
        format=row["format"],
        unknown_imports=tuple(row["unknown_imports"]),
        safetensors=made,
        not_converted=row["not_converted"],
    )
