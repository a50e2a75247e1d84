"""Versions of models, with their files and manifests."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import (
    Boolean,
    Column,
    ColumnElement,
    Connection,
    ForeignKey,
    Index,
    LargeBinary,
    RowMapping,
    Select,
    Table,
    UniqueConstraint,
    delete,
    insert,
    select,
    update,
)

from octomil.control.records import SignedManifest, Version, VersionFile
from octomil.control.stores.columns import PLAIN_TEXT, JsonText, Moment
from octomil.control.stores.schema import insert_new, metadata
from octomil.control.stores.version_files import VersionFileRows
from octomil.registry.lifecycle import VersionState
from octomil.registry.semver import SemVer

_IDS_A_QUERY = 500

versions = Table(
    "versions",
    metadata,
    Column("id", PLAIN_TEXT, primary_key=True),
    Column("organisation", PLAIN_TEXT, ForeignKey("organisations.id"), nullable=False),
    Column("model_id", PLAIN_TEXT, ForeignKey("models.id"), nullable=False),
    Column("number", PLAIN_TEXT, nullable=False),
    Column("sort_key", PLAIN_TEXT, nullable=False),
    Column("is_prerelease", Boolean, nullable=False),
    Column("state", PLAIN_TEXT, nullable=False),
    Column("failure", PLAIN_TEXT),
    Column("description", PLAIN_TEXT),
    Column("formats_wanted", JsonText, nullable=False),
    Column("metrics", JsonText, nullable=False),
    Column("digest", PLAIN_TEXT),
    Column("created_at", Moment, nullable=False),
    Column("updated_at", Moment, nullable=False),
    Column("published_at", Moment),
    Column("deprecated_at", Moment),
    Column("deleted_at", Moment),
    Column("architecture", JsonText),
    UniqueConstraint("model_id", "number"),
    Index("ix_versions_model_id_created_at_sort_key", "model_id", "created_at", "sort_key"),
    Index("ix_versions_model_id_sort_key", "model_id", "sort_key"),
)
"""One that was published leaves its row behind when it is deleted, so that its number is taken."""

version_manifests = Table(
    "version_manifests",
    metadata,
    Column("version_id", PLAIN_TEXT, ForeignKey("versions.id"), primary_key=True),
    Column("organisation", PLAIN_TEXT, ForeignKey("organisations.id"), nullable=False),
    Column("payload", LargeBinary, nullable=False),
    Column("key_id", PLAIN_TEXT, nullable=False),
    Column("signature", LargeBinary, nullable=False),
)

_STORED = tuple(name for name in Version.__dataclass_fields__ if name != "files")
_FROZEN = [state.value for state in VersionState if state.is_frozen]


class VersionRows:
    """The versions of an organisation's models."""

    def __init__(self, connection: Connection, organisation: str) -> None:
        self._connection = connection
        self._organisation = organisation
        self._all = versions.c.organisation == organisation
        self._own = self._all & versions.c.deleted_at.is_(None)
        self._files = VersionFileRows(connection, organisation)

    def add(self, version: Version) -> bool:
        """Add a version without files; return False, and change nothing, if its number is taken."""
        number = SemVer.parse(version.number)
        row = {name: getattr(version, name) for name in _STORED}
        row |= {
            "organisation": self._organisation,
            "formats_wanted": list(version.formats_wanted),
            "sort_key": number.sort_key,
            "is_prerelease": number.is_prerelease,
        }
        return insert_new(self._connection, versions, row)

    def get(self, version_id: str) -> Version | None:
        """Return a version by its id."""
        return self._one(select(versions).where(self._own, versions.c.id == version_id))

    def get_all(self, version_ids: Sequence[str]) -> Mapping[str, Version]:
        """Return those of some versions that there are, by their ids."""
        found: dict[str, Version] = {}
        for start in range(0, len(version_ids), _IDS_A_QUERY):
            some = versions.c.id.in_(version_ids[start : start + _IDS_A_QUERY])
            found |= {each.id: each for each in self._several(select(versions).where(some))}
        return found

    def find(self, model_id: str, number: str) -> Version | None:
        """Return a model's version by its number."""
        return self._one(select(versions).where(self._own, _named(model_id, number)))

    def hold(self, model_id: str, number: str) -> Version | None:
        """Return a version that nobody else can change before the transaction ends."""
        query = select(versions).where(self._own, _named(model_id, number))
        return self._one(query.with_for_update())

    def latest(self, model_id: str) -> Version | None:
        """Return the published version of highest precedence, pre-releases left out."""
        released = (versions.c.state == VersionState.PUBLISHED) & ~versions.c.is_prerelease
        query = select(versions).where(self._own, versions.c.model_id == model_id, released)
        return self._one(query.order_by(versions.c.sort_key.desc()).limit(1))

    def list(
        self, model_id: str, *, state: VersionState | None, limit: int, offset: int = 0
    ) -> Sequence[Version]:
        """Return versions, newest first; of those made at one moment the highest first."""
        query = select(versions).where(versions.c.model_id == model_id)
        if state is not None:
            query = query.where(versions.c.state == state)
        order = (versions.c.created_at.desc(), versions.c.sort_key.desc())
        return self._several(query.order_by(*order).limit(limit).offset(offset))

    def add_file(self, version_id: str, file: VersionFile) -> bool:
        """Add a file; return False, and change nothing, if there is one in that format."""
        return self._files.add(version_id, file)

    def update(self, version_id: str, changes: Mapping[str, Any], now: datetime) -> None:
        """Replace some of what is known about a version."""
        change = update(versions).where(self._own, versions.c.id == version_id)
        self._connection.execute(change.values(**changes, updated_at=now))

    def delete(self, version_id: str, now: datetime) -> None:
        """Remove a version; of one that was published the number and the manifest stay."""
        self._files.delete_all([version_id])
        this = self._own & (versions.c.id == version_id)
        frozen = versions.c.state.in_(_FROZEN)
        kept = update(versions).where(this, frozen).values(deleted_at=now)
        if self._connection.execute(kept).rowcount == 0:
            self._connection.execute(delete(versions).where(this))

    def delete_all(self, model_id: str) -> None:
        """Remove every version of a model, and what is left of those that were deleted."""
        ids = select(versions.c.id).where(self._all, versions.c.model_id == model_id)
        self._files.delete_all(ids)
        kept = version_manifests.c.version_id.in_(ids)
        self._connection.execute(delete(version_manifests).where(kept))
        self._connection.execute(delete(versions).where(versions.c.id.in_(ids)))

    def put_manifest(self, version_id: str, manifest: SignedManifest) -> None:
        """Keep what a version is published as."""
        row = {
            "version_id": version_id,
            "organisation": self._organisation,
            "payload": manifest.payload,
            "key_id": manifest.key_id,
            "signature": manifest.signature,
        }
        self._connection.execute(insert(version_manifests).values(row))

    def manifest(self, version_id: str) -> SignedManifest | None:
        """Return what a version was published as."""
        table = version_manifests.c
        query = select(table.payload, table.key_id, table.signature)
        own = (table.organisation == self._organisation) & (table.version_id == version_id)
        row = self._connection.execute(query.where(own)).one_or_none()
        if row is None:
            return None
        return SignedManifest(
            payload=bytes(row.payload), key_id=row.key_id, signature=bytes(row.signature)
        )

    def _one(self, query: Select[Any]) -> Version | None:
        row = self._connection.execute(query).mappings().one_or_none()
        if row is None:
            return None
        return _version(row, self._files.of([row["id"]]).get(row["id"], ()))

    def _several(self, query: Select[Any]) -> Sequence[Version]:
        rows = self._connection.execute(query.where(self._own)).mappings().all()
        files = self._files.of([row["id"] for row in rows])
        return [_version(row, files.get(row["id"], ())) for row in rows]


def _named(model_id: str, number: str) -> ColumnElement[bool]:
    return (versions.c.model_id == model_id) & (versions.c.number == number)


def _version(row: RowMapping, files: Sequence[VersionFile]) -> Version:
    stored = {name: row[name] for name in _STORED}
    stored["state"] = VersionState(row["state"])
    stored["formats_wanted"] = tuple(row["formats_wanted"])
    return Version(**stored, files=tuple(files))
