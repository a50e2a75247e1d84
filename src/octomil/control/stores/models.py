"""Models."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    ForeignKey,
    Table,
    UniqueConstraint,
    delete,
    select,
    update,
)

from octomil.control.records import Model
from octomil.control.stores.columns import PLAIN_TEXT, JsonText, Moment
from octomil.control.stores.schema import insert_new, metadata

models = Table(
    "models",
    metadata,
    Column("id", PLAIN_TEXT, primary_key=True),
    Column("organisation", PLAIN_TEXT, ForeignKey("organisations.id"), nullable=False),
    Column("name", PLAIN_TEXT, nullable=False),
    Column("description", PLAIN_TEXT),
    Column("framework", PLAIN_TEXT),
    Column("use_case", PLAIN_TEXT),
    Column("model_contract", JsonText),
    Column("data_contract", JsonText),
    Column("architecture", JsonText),
    Column("metadata", JsonText, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("updated_at", Moment, nullable=False),
    UniqueConstraint("organisation", "name"),
)

_FIELDS = tuple(Model.__dataclass_fields__)


class ModelRows:
    """The models of an organisation."""

    def __init__(self, connection: Connection, organisation: str) -> None:
        self._connection = connection
        self._own = models.c.organisation == organisation
        self._organisation = organisation

    def add(self, model: Model) -> bool:
        """Add a model; return False, and change nothing, if its name is taken."""
        row = {name: getattr(model, name) for name in _FIELDS}
        return insert_new(self._connection, models, row | {"organisation": self._organisation})

    def get(self, model_id: str) -> Model | None:
        """Return a model by its id."""
        return self._one(models.c.id == model_id)

    def hold(self, model_id: str) -> Model | None:
        """Return a model that nobody else can change or delete before the transaction ends."""
        return self._one(models.c.id == model_id, lock=True)

    def find(self, name: str) -> Model | None:
        """Return a model by its name."""
        return self._one(models.c.name == name)

    def list(self, *, filters: Mapping[str, str], limit: int, offset: int = 0) -> Sequence[Model]:
        """Return models in the order of their names."""
        wanted = [models.c[name] == value for name, value in filters.items()]
        query = select(models).where(self._own, *wanted).order_by(models.c.name)
        rows = self._connection.execute(query.limit(limit).offset(offset)).mappings()
        return [Model(**row) for row in rows]

    def names(self, model_ids: Collection[str]) -> Mapping[str, str]:
        """Return the names of some models, by their ids."""
        query = select(models.c.id, models.c.name).where(self._own, models.c.id.in_(model_ids))
        return {row.id: row.name for row in self._connection.execute(query)}

    def update(self, model_id: str, changes: Mapping[str, Any], now: datetime) -> None:
        """Replace some of what is known about a model."""
        change = update(models).where(self._own, models.c.id == model_id)
        self._connection.execute(change.values(**changes, updated_at=now))

    def delete(self, model_id: str) -> None:
        """Remove a model, of which nothing else may be left."""
        self._connection.execute(delete(models).where(self._own, models.c.id == model_id))

    def _one(self, condition: ColumnElement[bool], *, lock: bool = False) -> Model | None:
        query = select(models).where(self._own, condition)
        found = self._connection.execute(query.with_for_update() if lock else query)
        row = found.mappings().one_or_none()
        return None if row is None else Model(**row)
