"""The keys that organisations sign the manifests of their versions with."""

from collections.abc import Sequence

from sqlalchemy import Column, Connection, ForeignKey, Index, LargeBinary, Table, insert, select

from octomil.control.records import ManifestKey
from octomil.control.stores.columns import PLAIN_TEXT, Moment
from octomil.control.stores.schema import metadata

manifest_keys = Table(
    "manifest_keys",
    metadata,
    Column("id", PLAIN_TEXT, primary_key=True),
    Column("organisation", PLAIN_TEXT, ForeignKey("organisations.id"), nullable=False),
    Column("private", LargeBinary, nullable=False),
    Column("public", LargeBinary, nullable=False),
    Column("created_at", Moment, nullable=False),
    Index("ix_manifest_keys_organisation", "organisation"),
)


class ManifestKeyRows:
    """The keys that an organisation signs manifests with."""

    def __init__(self, connection: Connection, organisation: str) -> None:
        self._connection = connection
        self._organisation = organisation

    def add(self, key: ManifestKey) -> None:
        """Add a key."""
        row = {
            "id": key.id,
            "organisation": self._organisation,
            "private": key.private,
            "public": key.public,
            "created_at": key.created_at,
        }
        self._connection.execute(insert(manifest_keys).values(row))

    def list(self) -> Sequence[ManifestKey]:
        """Return all keys, oldest first."""
        table = manifest_keys.c
        query = select(table.id, table.private, table.public, table.created_at)
        own = query.where(table.organisation == self._organisation)
        rows = self._connection.execute(own.order_by(table.created_at, table.id))
        return [
            ManifestKey(
                id=row.id,
                private=bytes(row.private),
                public=bytes(row.public),
                created_at=row.created_at,
            )
            for row in rows
        ]
