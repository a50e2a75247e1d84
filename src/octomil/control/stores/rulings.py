"""Which versions must not be rolled out."""

from collections.abc import Sequence
from dataclasses import fields

from sqlalchemy import BigInteger, Boolean, Column, Connection, ForeignKey, Table, func, select

from octomil.control.stores.columns import PLAIN_TEXT, Moment
from octomil.control.stores.schema import insert_new, metadata
from octomil.rollouts.blocks import Ruling

rulings = Table(
    "rulings",
    metadata,
    Column(
        "organisation",
        PLAIN_TEXT,
        ForeignKey("organisations.id"),
        primary_key=True,
        nullable=False,
    ),
    Column("digest", PLAIN_TEXT, primary_key=True, nullable=False),
    Column("ordinal", BigInteger, primary_key=True, autoincrement=False, nullable=False),
    Column("is_block", Boolean, nullable=False),
    Column("at", Moment, nullable=False),
    Column("actor", PLAIN_TEXT, nullable=False),
    Column("reason", PLAIN_TEXT, nullable=False),
)

_FIELDS = tuple(field.name for field in fields(Ruling))
_COLUMNS = [rulings.c[name] for name in _FIELDS]


class RulingRows:
    """The rulings of an organisation."""

    def __init__(self, connection: Connection, organisation: str) -> None:
        self._connection = connection
        self._own = rulings.c.organisation == organisation
        self._organisation = organisation

    def add(self, ruling: Ruling) -> bool:
        """Note one behind those before; return False if another came in between."""
        last = select(func.max(rulings.c.ordinal)).where(
            self._own, rulings.c.digest == ruling.digest
        )
        ordinal = (self._connection.execute(last).scalar_one() or 0) + 1
        row = {name: getattr(ruling, name) for name in _FIELDS}
        row |= {"organisation": self._organisation, "ordinal": ordinal}
        return insert_new(self._connection, rulings, row)

    def of(self, digest: str) -> Sequence[Ruling]:
        """Return those on what a version is known by, in their order."""
        query = select(*_COLUMNS).where(self._own, rulings.c.digest == digest)
        found = self._connection.execute(query.order_by(rulings.c.ordinal)).mappings()
        return [Ruling(**row) for row in found]
