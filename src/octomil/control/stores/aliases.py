"""Names that point at versions: every step of each is kept, and the last one counts."""

from collections.abc import Sequence
from datetime import datetime
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
    exists,
    select,
)

from octomil.control.records import Alias
from octomil.control.stores.columns import PLAIN_TEXT, Moment
from octomil.control.stores.schema import insert_new, metadata

alias_steps = Table(
    "alias_steps",
    metadata,
    Column("model_id", PLAIN_TEXT, ForeignKey("models.id"), primary_key=True),
    Column("name", PLAIN_TEXT, primary_key=True),
    Column("revision", BigInteger, primary_key=True),
    Column("organisation", PLAIN_TEXT, ForeignKey("organisations.id"), nullable=False),
    Column("version_id", PLAIN_TEXT, ForeignKey("versions.id")),
    Column("number", PLAIN_TEXT),
    Column("actor", PLAIN_TEXT, nullable=False),
    Column("moved_at", Moment, nullable=False),
    Index("ix_alias_steps_version_id", "version_id"),
)

_FIELDS = tuple(Alias.__dataclass_fields__)
_later = alias_steps.alias("later")
_IS_LAST = ~exists().where(
    _later.c.model_id == alias_steps.c.model_id,
    _later.c.name == alias_steps.c.name,
    _later.c.revision > alias_steps.c.revision,
)


class AliasRows:
    """The names that point at versions of an organisation's models."""

    def __init__(self, connection: Connection, organisation: str) -> None:
        self._connection = connection
        self._own = alias_steps.c.organisation == organisation
        self._organisation = organisation

    def get(self, model_id: str, name: str) -> Alias | None:
        """Return where a name points; None if it never did."""
        found = self._select(self._steps(model_id, name).limit(1))
        return found[0] if found else None

    def list(self, model_id: str) -> Sequence[Alias]:
        """Return where each name of a model points, in their order."""
        query = select(alias_steps).where(alias_steps.c.model_id == model_id, _IS_LAST)
        pointing = query.where(alias_steps.c.version_id.is_not(None))
        return self._select(pointing.order_by(alias_steps.c.name))

    def of_version(self, version_id: str) -> Sequence[str]:
        """Return the names that point at a version."""
        query = select(alias_steps).where(alias_steps.c.version_id == version_id, _IS_LAST)
        return [each.name for each in self._select(query.order_by(alias_steps.c.name))]

    def move(self, alias: Alias) -> bool:
        """Take a step from the revision before; return False if somebody else took it."""
        row = {name: getattr(alias, name) for name in _FIELDS}
        row["organisation"] = self._organisation
        return insert_new(self._connection, alias_steps, row)

    def history(self, model_id: str, name: str, *, limit: int, offset: int = 0) -> Sequence[Alias]:
        """Return the steps of a name, newest first."""
        return self._select(self._steps(model_id, name).limit(limit).offset(offset))

    def at(self, model_id: str, name: str, moment: datetime) -> Alias | None:
        """Return where a name pointed at a moment; None if that was before its first step."""
        before = self._steps(model_id, name).where(alias_steps.c.moved_at <= moment)
        found = self._select(before.limit(1))
        return found[0] if found else None

    def delete_all(self, model_id: str) -> None:
        """Forget every name of a model."""
        of_model = alias_steps.c.model_id == model_id
        self._connection.execute(delete(alias_steps).where(self._own, of_model))

    def _steps(self, model_id: str, name: str) -> Select[Any]:
        of_name = (alias_steps.c.model_id == model_id) & (alias_steps.c.name == name)
        return select(alias_steps).where(of_name).order_by(alias_steps.c.revision.desc())

    def _select(self, query: Select[Any]) -> Sequence[Alias]:
        rows = self._connection.execute(query.where(self._own)).mappings()
        return [Alias(**{name: row[name] for name in _FIELDS}) for row in rows]
