"""Rollouts, and what devices attest that they run."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ColumnElement,
    Connection,
    Float,
    ForeignKey,
    Index,
    Select,
    Table,
    func,
    select,
    update,
)

from octomil.control.records import Attestation, ManifestKey, Rollout, RolloutStatus
from octomil.control.records.rollouts import OPEN
from octomil.control.stores.columns import PLAIN_TEXT, Moment
from octomil.control.stores.device_table import devices
from octomil.control.stores.manifest_keys import signing_keys_of
from octomil.control.stores.models import models
from octomil.control.stores.schema import insert_new, metadata, upsert
from octomil.control.stores.versions import versions

rollouts = Table(
    "rollouts",
    metadata,
    Column("id", PLAIN_TEXT, primary_key=True),
    Column("organisation", PLAIN_TEXT, ForeignKey("organisations.id"), nullable=False),
    Column("model_id", PLAIN_TEXT, nullable=False),
    Column("version_id", PLAIN_TEXT, nullable=False),
    Column("number", PLAIN_TEXT, nullable=False),
    Column("digest", PLAIN_TEXT, nullable=False),
    Column("status", PLAIN_TEXT, nullable=False),
    Column("rollout_percentage", Float, nullable=False),
    Column("target_percentage", Float, nullable=False),
    Column("increment_step", Float, nullable=False),
    Column("is_open", Boolean, nullable=False),
    Column("is_offered", Boolean, nullable=False),
    Column("revision", BigInteger, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("started_at", Moment),
    Column("completed_at", Moment),
    Column("deleted_at", Moment),
    Index("ix_rollouts_organisation_model_id", "organisation", "model_id"),
    Index("ix_rollouts_version_id", "version_id"),
)
"""What happened; a row stays when its model or version is deleted, and so does its revision."""

for _name in ("is_open", "is_offered"):  # one of each model at most
    Index(
        f"uq_rollouts_model_id_{_name}",
        rollouts.c.model_id,
        unique=True,
        sqlite_where=rollouts.c[_name],
        postgresql_where=rollouts.c[_name],
    )

attestations = Table(
    "attestations",
    metadata,
    Column("device_id", PLAIN_TEXT, ForeignKey("devices.id"), primary_key=True),
    Column("model_id", PLAIN_TEXT, primary_key=True),
    Column("organisation", PLAIN_TEXT, ForeignKey("organisations.id"), nullable=False),
    Column("number", PLAIN_TEXT, nullable=False),
    Column("digest", PLAIN_TEXT, nullable=False),
    Column("is_active", Boolean, nullable=False),
    Column("message", PLAIN_TEXT),
    Column("attested_at", Moment, nullable=False),
    Index("ix_attestations_model_id_digest", "model_id", "digest"),
)

_FIELDS = tuple(Rollout.__dataclass_fields__)
_ATTESTED = tuple(Attestation.__dataclass_fields__)
_SHOWN = rollouts.c.deleted_at.is_(None)
_COLUMNS = [rollouts.c[name] for name in _FIELDS]


class RolloutRows:
    """The rollouts of an organisation."""

    def __init__(self, connection: Connection, organisation: str) -> None:
        self._connection = connection
        self._own = rollouts.c.organisation == organisation
        self._organisation = organisation

    def add(self, rollout: Rollout) -> bool:
        """Add a rollout; return False, and change nothing, if its model has an open one."""
        row = {name: getattr(rollout, name) for name in _FIELDS}
        row |= {"organisation": self._organisation, "is_open": rollout.status.is_open}
        return insert_new(self._connection, rollouts, row)

    def get(self, model_id: str, rollout_id: str) -> Rollout | None:
        """Return a rollout that is not deleted."""
        return self._one(rollouts.c.model_id == model_id, rollouts.c.id == rollout_id, _SHOWN)

    def list(
        self, model_id: str, status: RolloutStatus | None, *, limit: int, offset: int = 0
    ) -> Sequence[Rollout]:
        """Return a model's rollouts that are not deleted, newest first."""
        query = select(*_COLUMNS).where(self._own, rollouts.c.model_id == model_id, _SHOWN)
        if status is not None:
            query = query.where(rollouts.c.status == status)
        newest = query.order_by(rollouts.c.id.desc()).limit(limit).offset(offset)
        return _found(self._connection, newest)

    def of_version(self, version_id: str) -> Sequence[Rollout]:
        """Return the rollouts that need a version: the open ones, and the one it is offered by."""
        return self._needing(rollouts.c.version_id == version_id)

    def of_model(self, model_id: str) -> Sequence[Rollout]:
        """Return the rollouts that need a model: the open ones, and the one that is offered."""
        return self._needing(rollouts.c.model_id == model_id)

    def change(self, rollout: Rollout, changes: Mapping[str, Any]) -> bool:
        """Replace fields of a rollout, if it is still as it was read; tell whether it was."""
        values = {**changes, "revision": rollout.revision + 1}
        if "status" in changes:
            values["is_open"] = changes["status"] in OPEN
        this = (rollouts.c.id == rollout.id) & (rollouts.c.revision == rollout.revision)
        done = self._connection.execute(update(rollouts).where(self._own, this).values(**values))
        return done.rowcount == 1

    def offered(self, model_id: str) -> Rollout | None:
        """Return the rollout that says what a model's devices run."""
        return self._one(rollouts.c.model_id == model_id, rollouts.c.is_offered)

    def last_completed(self, model_id: str) -> Rollout | None:
        """Return the last completed rollout but the offered one, if its version is still there."""
        completed = (rollouts.c.status == RolloutStatus.COMPLETED) & ~rollouts.c.is_offered & _SHOWN
        this = (versions.c.id == rollouts.c.version_id) & versions.c.deleted_at.is_not(None)
        there = ~select(versions.c.id).where(this).exists()
        query = select(*_COLUMNS).where(
            self._own, rollouts.c.model_id == model_id, completed, there
        )
        found = _found(self._connection, query.order_by(rollouts.c.completed_at.desc()).limit(1))
        return found[0] if found else None

    def first_lacking(self, rollout: Rollout, begin: str = "") -> str | None:
        """Return the first device, by ids and from `begin` on, that does not attest to run it."""
        runs = (
            select(attestations.c.device_id)
            .where(attestations.c.device_id == devices.c.id, _attested(rollout))
            .correlate(devices)
        )
        mine = (devices.c.organisation == self._organisation) & devices.c.deleted_at.is_(None)
        lacking = select(devices.c.id).where(mine, devices.c.id >= begin, ~runs.exists())
        found: str | None = self._connection.execute(
            lacking.order_by(devices.c.id).limit(1)
        ).scalar_one_or_none()
        return found

    def _needing(self, what: ColumnElement[bool]) -> Sequence[Rollout]:
        needs = rollouts.c.is_open | rollouts.c.is_offered
        query = select(*_COLUMNS).where(self._own, what, needs)
        return _found(self._connection, query.order_by(rollouts.c.id))

    def _one(self, *conditions: ColumnElement[bool]) -> Rollout | None:
        found = _found(self._connection, select(*_COLUMNS).where(self._own, *conditions))
        return found[0] if found else None


class AttestationRows:
    """What the devices of an organisation attest."""

    def __init__(self, connection: Connection, organisation: str) -> None:
        self._connection = connection
        self._own = attestations.c.organisation == organisation
        self._organisation = organisation

    def put(self, attestation: Attestation) -> None:
        """Note one, in place of what the device said before."""
        row = {name: getattr(attestation, name) for name in _ATTESTED}
        upsert(self._connection, attestations, row | {"organisation": self._organisation})

    def list(
        self, model_id: str, digest: str, *, limit: int, offset: int = 0
    ) -> Sequence[Attestation]:
        """Return what was attested about a version, by the devices' ids."""
        query = select(attestations).where(self._own, _about(model_id, digest))
        some = query.order_by(attestations.c.device_id).limit(limit).offset(offset)
        return [Attestation(**row) for row in self._connection.execute(some).mappings()]

    def counts(self, model_id: str, digests: Collection[str]) -> Mapping[str, tuple[int, int]]:
        """Return how many devices run each of some versions, and how many cannot."""
        about = (attestations.c.model_id == model_id) & attestations.c.digest.in_(digests)
        columns = (attestations.c.digest, attestations.c.is_active)
        query = select(*columns, func.count()).where(self._own, about).group_by(*columns)
        found = {(digest, bool(active)): n for digest, active, n in self._connection.execute(query)}
        return {each: (found.get((each, True), 0), found.get((each, False), 0)) for each in digests}


class OfferRows:
    """What all organisations' devices are to run."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def all(self) -> Sequence[Rollout]:
        """Return every rollout that is offered."""
        query = select(*_COLUMNS).where(rollouts.c.is_offered)
        return _found(self._connection, query.order_by(rollouts.c.id))

    def keys(self) -> Mapping[str, ManifestKey]:
        """Return the key that signs of each organisation that offers something."""
        owners = select(rollouts.c.organisation).where(rollouts.c.is_offered)
        return signing_keys_of(self._connection, owners)

    def names(self) -> Mapping[str, str]:
        """Return the name of each model of which something is offered, by its id."""
        offered = select(rollouts.c.model_id).where(rollouts.c.is_offered)
        query = select(models.c.id, models.c.name).where(models.c.id.in_(offered))
        return {row.id: row.name for row in self._connection.execute(query)}

    def versions(self) -> Mapping[str, int]:
        """Return a number for each organisation, which grows with every change of its rollouts."""
        total = func.sum(rollouts.c.revision)
        query = select(rollouts.c.organisation, total).group_by(rollouts.c.organisation)
        return {owner: int(n) for owner, n in self._connection.execute(query)}

    def active(self) -> Sequence[Rollout]:
        """Return every rollout that is under way."""
        under_way = rollouts.c.status == RolloutStatus.ACTIVE
        return _found(self._connection, select(*_COLUMNS).where(under_way, rollouts.c.is_open))


def _attested(rollout: Rollout) -> ColumnElement[bool]:
    return _about(rollout.model_id, rollout.digest) & attestations.c.is_active


def _about(model_id: str, digest: str) -> ColumnElement[bool]:
    return (attestations.c.model_id == model_id) & (attestations.c.digest == digest)


def _found(connection: Connection, query: Select[Any]) -> list[Rollout]:
    rows = connection.execute(query).mappings()
    return [Rollout(**{**row, "status": RolloutStatus(row["status"])}) for row in rows]
