"""A Postgres server that stands still, or lets nobody in."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import psutil
import psycopg

from support.postgres import database_at


@contextmanager
def stopped_postgres(url: str) -> Iterator[None]:
    """Let every process of a server stand still until the block ends."""
    with psycopg.connect(url) as connection:
        server = psutil.Process(connection.info.backend_pid).parent()
    stopped = [server, *server.children(recursive=True)]
    for process in stopped:
        _send(process.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for process in stopped:
            _send(process.pid, signal.SIGCONT)


@contextmanager
def closed_database(url: str) -> Iterator[str]:
    """Let nobody into a database, nor stay there, until the block ends; yields its name."""
    name = urlsplit(url).path.removeprefix("/")
    allow = f"ALTER DATABASE {name} ALLOW_CONNECTIONS"
    with psycopg.connect(database_at(url, "postgres"), autocommit=True) as connection:
        connection.execute(f"{allow} false")
        who = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s"
        connection.execute(who, [name])
        try:
            yield name
        finally:
            connection.execute(f"{allow} true")


def _send(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return  # a connection that was just closed
