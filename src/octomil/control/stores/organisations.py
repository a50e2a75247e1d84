"""Organisations."""

from collections.abc import Sequence

from sqlalchemy import Column, Connection, Table, select

from octomil.control.records import Organisation
from octomil.control.stores.columns import PLAIN_TEXT, Moment
from octomil.control.stores.schema import insert_new, metadata

organisations = Table(
    "organisations",
    metadata,
    Column("id", PLAIN_TEXT, primary_key=True),
    Column("name", PLAIN_TEXT, nullable=False),
    Column("created_at", Moment, nullable=False),
)


def add_organisation(connection: Connection, organisation: Organisation) -> bool:
    """Add an organisation; return False if the id is taken."""
    row = {
        "id": organisation.id,
        "name": organisation.name,
        "created_at": organisation.created_at,
    }
    return insert_new(connection, organisations, row)


def list_organisations(
    connection: Connection, after: str = "", limit: int | None = None
) -> Sequence[Organisation]:
    """Return the organisations behind an id, by their ids."""
    query = select(organisations).where(organisations.c.id > after).order_by(organisations.c.id)
    rows = connection.execute(query.limit(limit)).mappings()
    return [Organisation(**row) for row in rows]


def find_organisation(connection: Connection, organisation_id: str) -> Organisation | None:
    """Return an organisation."""
    query = select(organisations).where(organisations.c.id == organisation_id)
    row = connection.execute(query).one_or_none()
    return None if row is None else Organisation(**row._mapping)  # noqa: SLF001 - public in spite of its name
