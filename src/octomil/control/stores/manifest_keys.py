"""The keys that organisations sign the manifests of their versions with."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from sqlalchemy import (
    Column,
    Connection,
    ForeignKey,
    Index,
    LargeBinary,
    RowMapping,
    Select,
    Table,
    select,
    update,
)

from octomil.control.records import ManifestKey
from octomil.control.stores.columns import PLAIN_TEXT, Moment
from octomil.control.stores.schema import insert_new, metadata

manifest_keys = Table(
    "manifest_keys",
    metadata,
    Column("id", PLAIN_TEXT, primary_key=True),
    Column("organisation", PLAIN_TEXT, ForeignKey("organisations.id"), nullable=False),
    Column("private", LargeBinary, nullable=False),
    Column("public", LargeBinary, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("endorsed_by", PLAIN_TEXT),
    Column("endorsement", LargeBinary),
    Column("retired_at", Moment),
    Index("ix_manifest_keys_organisation", "organisation"),
)

_SIGNS = manifest_keys.c.retired_at.is_(None)

Index(  # one of each organisation at most
    "uq_manifest_keys_organisation_signs",
    manifest_keys.c.organisation,
    unique=True,
    sqlite_where=_SIGNS,
    postgresql_where=_SIGNS,
)

_FIELDS = tuple(ManifestKey.__dataclass_fields__)


class ManifestKeyRows:
    """The keys that an organisation signs manifests with."""

    def __init__(self, connection: Connection, organisation: str) -> None:
        self._connection = connection
        self._organisation = organisation
        self._own = manifest_keys.c.organisation == organisation

    def add(self, key: ManifestKey) -> bool:
        """Add the key that signs; return False, and change nothing, if there is one already."""
        row = {name: getattr(key, name) for name in _FIELDS}
        row |= {"organisation": self._organisation}
        return insert_new(self._connection, manifest_keys, row)

    def retire(self, key_id: str, now: datetime) -> bool:
        """Let a key sign no more, and forget its private part; False if it does not sign."""
        change = update(manifest_keys).where(self._own, manifest_keys.c.id == key_id, _SIGNS)
        done = self._connection.execute(change.values(private=b"", retired_at=now))
        return done.rowcount == 1

    def current(self) -> ManifestKey | None:
        """Return the key that signs."""
        query = select(manifest_keys).where(self._own, _SIGNS)
        row = self._connection.execute(query).mappings().one_or_none()
        return None if row is None else _key(row)

    def list(self) -> Sequence[ManifestKey]:
        """Return all keys, oldest first, those that sign no more too."""
        table = manifest_keys.c
        query = select(manifest_keys).where(self._own).order_by(table.created_at, table.id)
        return [_key(row) for row in self._connection.execute(query).mappings()]


def signing_keys_of(
    connection: Connection, organisations: Select[tuple[str]]
) -> Mapping[str, ManifestKey]:
    """Return the key that signs of each of some organisations, which a query selects."""
    query = select(manifest_keys).where(_SIGNS, manifest_keys.c.organisation.in_(organisations))
    return {row["organisation"]: _key(row) for row in connection.execute(query).mappings()}


def _key(row: RowMapping) -> ManifestKey:
    fields = {name: row[name] for name in _FIELDS}
    for name in ("private", "public", "endorsement"):
        fields[name] = None if row[name] is None else bytes(row[name])
    return ManifestKey(**fields)
