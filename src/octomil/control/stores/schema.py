"""What every table is declared with, and the statements whose form depends on the database."""

from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy import Connection, MetaData, Table
from sqlalchemy.dialects import postgresql, sqlite

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

_Insert = sqlite.Insert | postgresql.Insert
_INSERTS: Mapping[str, Callable[[Table], _Insert]] = {
    "sqlite": sqlite.insert,
    "postgresql": postgresql.insert,
}


def insert_new(connection: Connection, table: Table, row: dict[str, Any]) -> bool:
    """Insert a row unless that would break a unique constraint; tell whether it was inserted."""
    insert = _INSERTS[connection.dialect.name](table).values(row)
    counted = {"preserve_rowcount": True}
    done = connection.execute(insert.on_conflict_do_nothing(), execution_options=counted)
    return done.rowcount == 1


def insert_or_add(connection: Connection, table: Table, row: dict[str, Any]) -> None:
    """Insert a row, or add its numbers to those of the one with its primary key."""
    insert = _INSERTS[connection.dialect.name](table).values(row)
    keys = [column.name for column in table.primary_key]
    sums = {name: table.c[name] + insert.excluded[name] for name in row if name not in keys}
    connection.execute(insert.on_conflict_do_update(index_elements=keys, set_=sums))


def upsert(connection: Connection, table: Table, *rows: dict[str, Any]) -> None:
    """Insert rows with the same columns, each in place of the one with its primary key."""
    if not rows:
        return
    insert = _INSERTS[connection.dialect.name](table)
    keys = [column.name for column in table.primary_key]
    rest = {name: insert.excluded[name] for name in rows[0] if name not in keys}
    change = insert.on_conflict_do_update(index_elements=keys, set_=rest)
    connection.execute(change, list(rows))
