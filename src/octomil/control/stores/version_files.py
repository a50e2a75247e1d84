"""The files of versions: which blob a version has in which format."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    ForeignKey,
    Index,
    Select,
    Table,
    delete,
    select,
)

from octomil.control.records import VersionFile
from octomil.control.stores.columns import PLAIN_TEXT, Moment
from octomil.control.stores.schema import insert_new, metadata

version_files = Table(
    "version_files",
    metadata,
    Column("version_id", PLAIN_TEXT, ForeignKey("versions.id"), primary_key=True),
    Column("format", PLAIN_TEXT, primary_key=True),
    Column("organisation", PLAIN_TEXT, ForeignKey("organisations.id"), nullable=False),
    Column("digest", PLAIN_TEXT, nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("origin", PLAIN_TEXT, nullable=False),
    Column("name", PLAIN_TEXT, nullable=False),
    Column("created_at", Moment, nullable=False),
    Index("ix_version_files_digest", "digest"),
)

_FIELDS = tuple(VersionFile.__dataclass_fields__)


class VersionFileRows:
    """The files of the versions of an organisation's models."""

    def __init__(self, connection: Connection, organisation: str) -> None:
        self._connection = connection
        self._own = version_files.c.organisation == organisation
        self._organisation = organisation

    def add(self, version_id: str, file: VersionFile) -> bool:
        """Add a file; return False, and change nothing, if there is one in that format."""
        row = {name: getattr(file, name) for name in _FIELDS}
        row |= {"version_id": version_id, "organisation": self._organisation}
        return insert_new(self._connection, version_files, row)

    def of(self, version_ids: Sequence[str]) -> Mapping[str, Sequence[VersionFile]]:
        """Return the files of each of some versions, in the order of their formats."""
        chosen = version_files.c.version_id.in_(version_ids)
        query = select(version_files).where(self._own, chosen).order_by(version_files.c.format)
        found: dict[str, list[VersionFile]] = {}
        for row in self._connection.execute(query).mappings():
            file = VersionFile(**{name: row[name] for name in _FIELDS})
            found.setdefault(row["version_id"], []).append(file)
        return found

    def delete_all(self, version_ids: Sequence[str] | Select[Any]) -> None:
        """Remove the files of some versions."""
        chosen = version_files.c.version_id.in_(version_ids)
        self._connection.execute(delete(version_files).where(self._own, chosen))
