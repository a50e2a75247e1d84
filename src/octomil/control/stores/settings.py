"""Values that all replicas share, the format version among them."""

from sqlalchemy import Column, Connection, Table, select

from octomil.control.stores.columns import PLAIN_TEXT
from octomil.control.stores.schema import metadata, upsert

settings = Table(
    "settings",
    metadata,
    Column("name", PLAIN_TEXT, primary_key=True),
    Column("value", PLAIN_TEXT, nullable=False),
)


def read_setting(connection: Connection, name: str) -> str | None:
    """Return a value, or None where there is none."""
    query = select(settings.c.value).where(settings.c.name == name)
    return connection.execute(query).scalar_one_or_none()


def write_setting(connection: Connection, name: str, value: str) -> None:
    """Set a value."""
    upsert(connection, settings, {"name": name, "value": value})
