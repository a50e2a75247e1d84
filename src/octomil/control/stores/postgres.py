"""Postgres, by psycopg 3.

Writers take turns, those of all replicas: a transaction that writes begins by taking the one lock
that all of them need. What several replicas write at once waits for the same few rows anyhow, such
as the head of an organisation's audit; without an order among them, groups of calls run into
deadlocks, each of which costs a second.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from sqlalchemy import URL, Connection, create_engine, event, text

from octomil.control.stores.engines import Engines

CONNECTIONS = 10
_CONNECT_S = 10
_MIGRATION_KEY = 0x6F63746F6D696C  # "octomil"; of an advisory lock
WRITERS_KEY: Final = _MIGRATION_KEY + 1
_UNORDERED = "octomil_unordered"

_SESSION: Final = {
    "statement_timeout": "20s",
    "lock_timeout": "10s",
    "idle_in_transaction_session_timeout": "20s",  # of a replica that stands still in its turn
}
_CONNECTION: Final = {
    "application_name": "octomil",
    "connect_timeout": _CONNECT_S,
    "keepalives": 1,
    "keepalives_idle": 5,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 20_000,  # ms
}


def open_engines(url: URL) -> Engines:
    """Connect to the database at `url`.

    The two engines share their connections; one that the server closed meanwhile is noticed and
    replaced before it is used. Nothing is waited for without end. Options in the URL go before
    those set here.
    """
    from psycopg.pq import TransactionStatus  # only where Postgres is

    from octomil.control.stores.patience import PatientConnection

    limits = [f"-c {name}={value}" for name, value in _SESSION.items()]
    options = " ".join([*limits, str(url.query.get("options", ""))])  # of two, the last one counts
    defaults = {name: value for name, value in _CONNECTION.items() if name not in url.query}
    writer = create_engine(
        url.set(drivername="postgresql+psycopg"),
        pool_size=CONNECTIONS,
        max_overflow=0,
        pool_pre_ping=True,
        hide_parameters=True,
        connect_args={**defaults, "options": options},
    )

    @event.listens_for(writer, "do_connect")
    def connect(_dialect: object, _record: object, cargs: Any, cparams: Any) -> Any:
        return PatientConnection.connect(*cargs, **cparams)

    @event.listens_for(writer, "begin")
    def take_turn(connection: Connection) -> None:
        options = connection.get_execution_options()
        if not (options.get("postgresql_readonly") or options.get(_UNORDERED)):
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({WRITERS_KEY})")

    def is_undone(connection: Connection) -> bool:
        driver: Any = connection.connection.driver_connection
        return bool(driver.info.transaction_status == TransactionStatus.INERROR)

    reader = writer.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
    return Engines(writer=writer, reader=reader, is_undone=is_undone)


@contextmanager
def migration_lock(connection: Connection) -> Iterator[None]:
    """Hold what keeps two replicas from bringing one database up to date at once.

    Whatever it takes is waited for: tables may be large, and another replica at it.
    """
    key = {"key": _MIGRATION_KEY}
    connection.execution_options(**{_UNORDERED: True})
    driver: Any = connection.connection.driver_connection
    patience_s, driver.patience_s = driver.patience_s, None
    for name in _SESSION:
        connection.execute(text(f"SET {name} = 0"))
    connection.execute(text("SELECT pg_advisory_lock(:key)"), key)
    connection.commit()
    try:
        yield
    finally:
        connection.rollback()
        connection.execute(text("SELECT pg_advisory_unlock(:key)"), key)
        for name in _SESSION:
            connection.execute(text(f"RESET {name}"))
        connection.commit()
        driver.patience_s = patience_s
