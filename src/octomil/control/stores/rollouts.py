"""Rollouts, and what changed them."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ColumnElement,
    Connection,
    Float,
    ForeignKey,
    FromClause,
    Index,
    Select,
    Table,
    func,
    insert,
    select,
    update,
)

from octomil.control.records import ManifestKey, Rollout
from octomil.control.stores.columns import PLAIN_TEXT, JsonText, Moment
from octomil.control.stores.manifest_keys import signing_keys_of
from octomil.control.stores.models import models
from octomil.control.stores.rollout_devices import unfinished_rollouts, unfinished_since
from octomil.control.stores.rollout_values import (
    progress_row,
    rollout_of,
    row_of,
    transition_json,
    transition_of,
)
from octomil.control.stores.schema import insert_new, metadata
from octomil.control.stores.versions import versions
from octomil.rollouts.states import RolloutState, Transition

rollouts = Table(
    "rollouts",
    metadata,
    Column("id", PLAIN_TEXT, primary_key=True),
    Column("organisation", PLAIN_TEXT, ForeignKey("organisations.id"), nullable=False),
    Column("model_id", PLAIN_TEXT, nullable=False),
    Column("ordinal", BigInteger, nullable=False),
    Column("version_id", PLAIN_TEXT, nullable=False),
    Column("number", PLAIN_TEXT, nullable=False),
    Column("digest", PLAIN_TEXT, nullable=False),
    Column("plan", JsonText, nullable=False),
    Column("state", PLAIN_TEXT, nullable=False),
    Column("step", BigInteger, nullable=False),
    Column("base_percentage", Float, nullable=False),
    Column("percentage", Float, nullable=False),
    Column("offered_percentage", Float, nullable=False),
    Column("began_at", Moment),
    Column("widened_at", Moment),
    Column("is_open", Boolean, nullable=False),
    Column("revision", BigInteger, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("started_at", Moment),
    Column("completed_at", Moment),
    Column("deleted_at", Moment),
    Index("ix_rollouts_organisation_model_id_ordinal", "organisation", "model_id", "ordinal"),
    Index("ix_rollouts_version_id", "version_id"),
)
"""What happened; a row stays when its model or version is deleted, and so does its revision."""

Index(
    "uq_rollouts_model_id_is_open",  # one of each model at most
    rollouts.c.model_id,
    unique=True,
    sqlite_where=rollouts.c.is_open,
    postgresql_where=rollouts.c.is_open,
)

rollout_transitions = Table(
    "rollout_transitions",
    metadata,
    Column("rollout_id", PLAIN_TEXT, ForeignKey("rollouts.id"), primary_key=True),
    Column("revision", BigInteger, primary_key=True, autoincrement=False),
    Column("organisation", PLAIN_TEXT, ForeignKey("organisations.id"), nullable=False),
    Column("at", Moment, nullable=False),
    Column("transition", JsonText, nullable=False),
)
"""The history: each row is what led to its revision."""

_STEERED = (RolloutState.ACTIVE, RolloutState.PAUSED)
_STANDING = (*_STEERED, RolloutState.COMPLETED)
_ALL = 100.0
_NAMED = 500  # organisations that a query names; of more, all are read

_SHOWN = rollouts.c.deleted_at.is_(None)
_COLUMNS = [*rollouts.c]


class RolloutRows:
    """The rollouts of an organisation."""

    def __init__(self, connection: Connection, organisation: str) -> None:
        self._connection = connection
        self._own = rollouts.c.organisation == organisation
        self._organisation = organisation

    def next_ordinal(self, model_id: str) -> int:
        """Return the ordinal of a model's next rollout; deleted ones count."""
        query = select(func.max(rollouts.c.ordinal))
        found = self._connection.execute(query.where(self._own, rollouts.c.model_id == model_id))
        return (found.scalar_one() or 0) + 1

    def add(self, rollout: Rollout) -> bool:
        """Add a rollout; return False, and change nothing, if its model has an open one."""
        row = row_of(rollout) | {"organisation": self._organisation}
        return insert_new(self._connection, rollouts, row)

    def get(self, model_id: str, rollout_id: str) -> Rollout | None:
        """Return a rollout that is not deleted."""
        found = self._found(rollouts.c.model_id == model_id, rollouts.c.id == rollout_id, _SHOWN)
        return found[0] if found else None

    def list(
        self, model_id: str, state: RolloutState | None, *, limit: int, offset: int = 0
    ) -> Sequence[Rollout]:
        """Return a model's rollouts that are not deleted, newest first."""
        query = self._query(rollouts.c.model_id == model_id, _SHOWN)
        if state is not None:
            query = query.where(rollouts.c.state == state)
        newest = query.order_by(rollouts.c.ordinal.desc()).limit(limit).offset(offset)
        return _rollouts(self._connection, newest)

    def of_version(self, version_id: str) -> Sequence[Rollout]:
        """Return the rollouts that need a version: open ones, layers, and what is next below."""
        return self._found(rollouts.c.version_id == version_id, leads_somewhere())

    def of_model(self, model_id: str) -> Sequence[Rollout]:
        """Return the rollouts that need a model: the open ones, and its layers."""
        return self._found(rollouts.c.model_id == model_id, rollouts.c.is_open | _is_layer())

    def layers(self, model_id: str) -> Sequence[Rollout]:
        """Return the rollouts that say what a model's devices run, newest first."""
        query = self._query(rollouts.c.model_id == model_id, _is_layer())
        return _rollouts(self._connection, query.order_by(rollouts.c.ordinal.desc()))

    def standing(self, model_id: str) -> Sequence[Rollout]:
        """Return the rollouts that offer a version, or would if those above were rolled back."""
        return self._found(rollouts.c.model_id == model_id, _stands(rollouts))

    def take(self, rollout_id: str, transition: Transition) -> bool:
        """Store a transition, and its entry in the history; tell whether it took effect."""
        before, after = transition.before, transition.after
        values = progress_row(after)
        if before.step == 0 < after.step:
            values["started_at"] = transition.at
        if after.state is RolloutState.COMPLETED:
            values["completed_at"] = transition.at
        if not self._change(rollout_id, before.revision, values):
            return False
        entry = {
            "rollout_id": rollout_id,
            "revision": after.revision,
            "organisation": self._organisation,
            "at": transition.at,
            "transition": transition_json(transition),
        }
        self._connection.execute(insert(rollout_transitions).values(entry))
        return True

    def remove(self, rollout: Rollout, now: datetime) -> bool:
        """Show a rollout no more, if it is still as it was read; tell whether it was."""
        revision = rollout.progress.revision
        return self._change(rollout.id, revision, {"deleted_at": now, "revision": revision + 1})

    def history(self, rollout_id: str, *, limit: int, offset: int = 0) -> Sequence[Transition]:
        """Return a rollout's transitions, oldest first."""
        table = rollout_transitions.c
        own = (table.organisation == self._organisation) & (table.rollout_id == rollout_id)
        query = select(table.transition).where(own).order_by(table.revision)
        found = self._connection.execute(query.limit(limit).offset(offset)).scalars()
        return [transition_of(each) for each in found]

    def _change(self, rollout_id: str, revision: int, values: Mapping[str, Any]) -> bool:
        this = (rollouts.c.id == rollout_id) & (rollouts.c.revision == revision)
        change = update(rollouts).where(self._own, this, _SHOWN).values(**values)
        return self._connection.execute(change).rowcount == 1

    def _found(self, *conditions: ColumnElement[bool]) -> Sequence[Rollout]:
        return _rollouts(self._connection, self._query(*conditions).order_by(rollouts.c.id))

    def _query(self, *conditions: ColumnElement[bool]) -> Select[Any]:
        return select(*_COLUMNS).where(self._own, *conditions)


class OfferRows:
    """The rollouts of all organisations."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def numbers(self) -> Mapping[str, int]:
        """Return a number for each organisation, which grows with every change of its rollouts."""
        total = func.sum(rollouts.c.revision)
        query = select(rollouts.c.organisation, total).group_by(rollouts.c.organisation)
        return {owner: int(n) for owner, n in self._connection.execute(query)}

    def keys(self) -> Mapping[str, ManifestKey]:
        """Return the key that signs of each organisation that has rollouts."""
        return signing_keys_of(self._connection, select(rollouts.c.organisation))

    def layers(self, organisations: Collection[str]) -> Sequence[tuple[Rollout, str]]:
        """Return what says what devices run, each with its model's name; see the port."""
        table = rollouts.c
        named = models.c.name.label("model_name")
        query = select(*_COLUMNS, named).join(models, models.c.id == table.model_id)
        query = query.where(_is_layer())
        if len(organisations) <= _NAMED:
            query = query.where(table.organisation.in_(organisations))
        ordered = query.order_by(table.organisation, table.model_id, table.ordinal.desc())
        return [
            (rollout_of(row), row["model_name"])
            for row in self._connection.execute(ordered).mappings()
            if row["organisation"] in organisations
        ]

    def steered(self) -> Sequence[Rollout]:
        """Return every rollout that something may still come of: the active and paused ones."""
        may_change = rollouts.c.is_open & rollouts.c.state.in_(_STEERED)
        query = select(*_COLUMNS).where(may_change, _SHOWN)
        return _rollouts(self._connection, query.order_by(rollouts.c.id))

    def unfinished(self) -> Sequence[tuple[Rollout, datetime]]:
        """Return those that are over with devices that came to no end; see the port."""
        found = self._connection.execute(unfinished_query().order_by(rollouts.c.id)).mappings()
        return [(rollout_of(row), row["unfinished_since"]) for row in found]


def unfinished_query() -> Select[Any]:
    """Return what finds rollouts that are over with devices that came to no end."""
    since = unfinished_since(rollouts.c.id).correlate(rollouts).scalar_subquery()
    is_over = ~rollouts.c.is_open | rollouts.c.deleted_at.is_not(None)
    query = select(*_COLUMNS, since.label("unfinished_since"))
    return query.where(rollouts.c.id.in_(unfinished_rollouts()), is_over)


def leads_somewhere() -> ColumnElement[bool]:
    """Tell which rollouts say what devices run, or may after one step: also by a rollback."""
    return rollouts.c.is_open | _is_layer(at_most_covered=1)


def ended_before(moment: datetime) -> ColumnElement[bool]:
    """Tell which rollouts lead nowhere any more, and last changed before a moment."""
    entry = rollout_transitions.c
    is_later = (entry.rollout_id == rollouts.c.id) & (entry.at >= moment)
    changed_since = select(entry.revision).where(is_later).correlate(rollouts).exists()
    is_old = (rollouts.c.created_at < moment) & ~changed_since
    was_removed = rollouts.c.deleted_at.is_(None) | (rollouts.c.deleted_at < moment)
    return is_old & was_removed & ~leads_somewhere()


def _is_layer(*, at_most_covered: int = 0) -> ColumnElement[bool]:
    """Tell which rollouts say what devices run: those with none for all devices above them.

    One whose version was removed says nothing.

    Args:
        at_most_covered: this many above it may be for all devices; with 1, those count that say
            what devices run once the one above is rolled back.
    """
    above = rollouts.alias("above")
    covering = (
        select(func.count())
        .where(
            above.c.organisation == rollouts.c.organisation,
            above.c.model_id == rollouts.c.model_id,
            above.c.ordinal > rollouts.c.ordinal,
            above.c.offered_percentage >= _ALL,
            _stands(above),
        )
        .correlate(rollouts)
    )
    return _stands(rollouts) & (covering.scalar_subquery() <= at_most_covered)


def _stands(table: FromClause) -> ColumnElement[bool]:
    """Tell which rollouts offer a version that is still there."""
    this = (versions.c.id == table.c.version_id) & versions.c.deleted_at.is_not(None)
    is_removed = select(versions.c.id).where(this).correlate(table).exists()
    return table.c.state.in_(_STANDING) & table.c.deleted_at.is_(None) & ~is_removed


def _rollouts(connection: Connection, query: Select[Any]) -> list[Rollout]:
    return [rollout_of(row) for row in connection.execute(query).mappings()]
