"""What every table is declared with, and the statements whose form depends on the database."""

from collections.abc import Callable, Mapping
from functools import cache
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
    counted = {"preserve_rowcount": True}
    insert = _insert_new(connection.dialect.name, table)
    return connection.execute(insert, row, execution_options=counted).rowcount == 1


def insert_or_add(connection: Connection, table: Table, row: dict[str, Any]) -> None:
    """Insert a row, or add its numbers to those of the one with its primary key."""
    connection.execute(_insert_or_add(connection.dialect.name, table, tuple(row)), row)


def upsert(connection: Connection, table: Table, *rows: dict[str, Any]) -> None:
    """Insert rows with the same columns, each in place of the one with its primary key."""
    if rows:
        statement = _upsert(connection.dialect.name, table, tuple(rows[0]))
        connection.execute(statement, list(rows))


# The statements are made once each: `excluded` copies every column of its table.


@cache
def _insert_new(dialect: str, table: Table) -> _Insert:
    return _INSERTS[dialect](table).on_conflict_do_nothing()


@cache
def _insert_or_add(dialect: str, table: Table, names: tuple[str, ...]) -> _Insert:
    insert, keys = _INSERTS[dialect](table), table.primary_key.columns.keys()
    sums = {name: table.c[name] + insert.excluded[name] for name in names if name not in keys}
    return insert.on_conflict_do_update(index_elements=keys, set_=sums)


@cache
def _upsert(dialect: str, table: Table, names: tuple[str, ...]) -> _Insert:
    insert, keys = _INSERTS[dialect](table), table.primary_key.columns.keys()
    rest = {name: insert.excluded[name] for name in names if name not in keys}
    return insert.on_conflict_do_update(index_elements=keys, set_=rest)
