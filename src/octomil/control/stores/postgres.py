"""Postgres, by psycopg 3."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import URL, Connection, create_engine, text

from octomil.control.stores.engines import Engines

CONNECTIONS = 10
_PATIENCE_S = 10
_MIGRATION_KEY = 0x6F63746F6D696C  # "octomil"; of an advisory lock


def open_engines(url: URL) -> Engines:
    """Connect to the database at `url`.

    The two engines share their connections; one that the server closed meanwhile is noticed and
    replaced before it is used.
    """
    writer = create_engine(
        url.set(drivername="postgresql+psycopg"),
        pool_size=CONNECTIONS,
        max_overflow=0,
        pool_pre_ping=True,
        connect_args={"application_name": "octomil", "connect_timeout": _PATIENCE_S},
    )
    reader = writer.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
    return Engines(writer=writer, reader=reader)


@contextmanager
def migration_lock(connection: Connection) -> Iterator[None]:
    """Hold what keeps two replicas from bringing one database up to date at once."""
    key = {"key": _MIGRATION_KEY}
    connection.execute(text("SELECT pg_advisory_lock(:key)"), key)
    connection.commit()
    try:
        yield
    finally:
        connection.rollback()
        connection.execute(text("SELECT pg_advisory_unlock(:key)"), key)
        connection.commit()
