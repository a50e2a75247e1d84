"""Uploads that can be gone on with."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    ForeignKey,
    Index,
    RowMapping,
    Select,
    Table,
    delete,
    insert,
    select,
    update,
)

from octomil.control.records import Upload
from octomil.control.stores.columns import PLAIN_TEXT, Moment
from octomil.control.stores.schema import metadata

uploads = Table(
    "uploads",
    metadata,
    Column("id", PLAIN_TEXT, primary_key=True),
    Column("organisation", PLAIN_TEXT, ForeignKey("organisations.id"), nullable=False),
    Column("name", PLAIN_TEXT, nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("verified", PLAIN_TEXT),
    Column("digest", PLAIN_TEXT),
    Column("created_at", Moment, nullable=False),
    Column("expires_at", Moment, nullable=False),
    Index("ix_uploads_digest", "digest"),
    Index("ix_uploads_expires_at", "expires_at"),
)

_FIELDS = tuple(Upload.__dataclass_fields__)


class UploadRows:
    """The uploads of an organisation."""

    def __init__(self, connection: Connection, organisation: str) -> None:
        self._connection = connection
        self._own = uploads.c.organisation == organisation
        self._organisation = organisation

    def add(self, upload: Upload) -> None:
        """Add an upload."""
        row = {name: getattr(upload, name) for name in _FIELDS}
        self._connection.execute(insert(uploads).values(row | {"organisation": self._organisation}))

    def get(self, upload_id: str) -> Upload | None:
        """Return an upload by its id."""
        return self._one(select(uploads).where(self._own, uploads.c.id == upload_id))

    def under_way(self, now: datetime) -> Sequence[Upload]:
        """Return the uploads that are neither complete nor abandoned, oldest first."""
        is_open = uploads.c.digest.is_(None) & (uploads.c.expires_at > now)
        query = select(uploads).where(self._own, is_open)
        rows = self._connection.execute(query.order_by(uploads.c.created_at, uploads.c.id))
        return [_upload(row) for row in rows.mappings()]

    def hold(self, upload_id: str) -> Upload | None:
        """Return an upload that nobody else can change before the transaction ends."""
        query = select(uploads).where(self._own, uploads.c.id == upload_id)
        return self._one(query.with_for_update())

    def renew(self, upload_id: str, expires_at: datetime) -> None:
        """Put off the moment from which an upload is abandoned."""
        change = update(uploads).where(self._own, uploads.c.id == upload_id)
        self._connection.execute(change.values(expires_at=expires_at))

    def verify(self, upload_id: str, digest: str) -> None:
        """Say which blob an upload is about to become."""
        change = update(uploads).where(self._own, uploads.c.id == upload_id)
        self._connection.execute(change.values(verified=digest))

    def complete(self, upload_id: str, digest: str) -> None:
        """Say which blob an upload became."""
        change = update(uploads).where(self._own, uploads.c.id == upload_id)
        self._connection.execute(change.values(digest=digest))

    def delete(self, upload_id: str) -> bool:
        """Forget an upload; return False if there is none."""
        gone = delete(uploads).where(self._own, uploads.c.id == upload_id)
        return self._connection.execute(gone).rowcount == 1

    def delete_expired(self, upload_id: str, now: datetime) -> bool:
        """Forget an upload if it is abandoned; tell whether it was."""
        abandoned = (uploads.c.id == upload_id) & (uploads.c.expires_at <= now)
        return self._connection.execute(delete(uploads).where(self._own, abandoned)).rowcount == 1

    def _one(self, query: Select[tuple[object, ...]]) -> Upload | None:
        row = self._connection.execute(query).mappings().one_or_none()
        return None if row is None else _upload(row)


def abandoned_uploads(connection: Connection, now: datetime, limit: int) -> Sequence[Upload]:
    """Return uploads that have expired, whosever they are, those first that did so first."""
    query = select(uploads).where(uploads.c.expires_at <= now).order_by(uploads.c.expires_at)
    return [_upload(row) for row in connection.execute(query.limit(limit)).mappings()]


def upload_ids(connection: Connection) -> frozenset[str]:
    """Return the ids of all uploads."""
    return frozenset(connection.execute(select(uploads.c.id)).scalars())


def _upload(row: RowMapping) -> Upload:
    return Upload(**{name: row[name] for name in _FIELDS})
