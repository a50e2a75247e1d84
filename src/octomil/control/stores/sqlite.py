"""SQLite: one file in WAL mode, one connection that writes, several that read.

The writer's pool has a single connection, and whoever holds it holds the lock; five writers on one
file were measured to wait up to a second for each other where one never waits.
"""

import sqlite3
from contextlib import closing
from functools import partial
from pathlib import Path
from time import monotonic, sleep
from typing import Any

from filelock import FileLock
from sqlalchemy import URL, Connection, Engine, create_engine, event
from sqlalchemy.pool import QueuePool

from octomil.control.stores.engines import Engines
from octomil.errors import ServiceUnavailableError
from octomil.write_ahead_log import write_ahead

READERS = 4
_PATIENCE_S = 10.0  # somebody else, such as a backup, may hold the file for a moment
_SCRUB_WAIT_S = 1.0  # for readers of what is to go; meanwhile nobody can write
_SCRUB_PAUSE_S = 0.01
_COMMON = (
    "PRAGMA foreign_keys=ON",
    "PRAGMA cache_size=-16384",  # KiB
    "PRAGMA temp_store=MEMORY",
)


def open_engines(path: Path) -> Engines:
    """Connect to the file at `path`, made if need be."""
    writing = ("PRAGMA synchronous=FULL", "PRAGMA secure_delete=ON")
    return Engines(
        writer=_engine(path, 1, "BEGIN IMMEDIATE", writing, writes=True),
        reader=_engine(path, READERS, "BEGIN", ("PRAGMA query_only=ON",), writes=False),
        is_undone=_is_undone,
        scrub=partial(_empty_log, path),
    )


def migration_lock(path: Path) -> FileLock:
    """Return what keeps two processes from bringing one file up to date at once."""
    return FileLock(path.with_name(path.name + ".migration.lock"))


def _empty_log(path: Path) -> None:
    """Move everything out of the write-ahead log, and cut it to nothing.

    Pages keep no deleted bytes (`secure_delete`), but the log keeps the pages as they were before.
    SQLite waits for readers and writers; for another who empties the log just now, it does not.

    Raises:
        ServiceUnavailableError: somebody reads what is in it.
    """
    deadline_s = monotonic() + _SCRUB_WAIT_S
    with closing(sqlite3.connect(path, timeout=_SCRUB_WAIT_S)) as connection:
        while not _is_emptied(connection):
            if monotonic() > deadline_s:
                raise ServiceUnavailableError(
                    f"what was removed is still in {path}-wal, which somebody reads; it is gone "
                    "once the control plane was stopped"
                )
            sleep(_SCRUB_PAUSE_S)


def _is_emptied(connection: sqlite3.Connection) -> bool:
    is_busy, *_ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    return not is_busy


def _is_undone(connection: Connection) -> bool:
    driver: Any = connection.connection.driver_connection
    return not driver.in_transaction


def _engine(
    path: Path, connections: int, begin: str, pragmas: tuple[str, ...], *, writes: bool
) -> Engine:
    engine = create_engine(
        URL.create("sqlite+pysqlite", database=str(path)),
        poolclass=QueuePool,
        pool_size=connections,
        max_overflow=0,
        hide_parameters=True,
        connect_args={
            "check_same_thread": False,
            "isolation_level": None,
            "timeout": _PATIENCE_S,
        },
    )

    @event.listens_for(engine, "connect")
    def prepare(driver_connection: Any, _record: object) -> None:
        if writes:
            write_ahead(driver_connection, patience_s=_PATIENCE_S)
        for statement in (*_COMMON, *pragmas):
            driver_connection.execute(statement)

    @event.listens_for(engine, "begin")
    def start(connection: Connection) -> None:
        connection.exec_driver_sql(begin)

    return engine
