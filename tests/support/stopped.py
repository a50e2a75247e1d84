"""Processes that stand still; a Postgres server that does, or lets nobody in."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import psycopg

from support.postgres import database_at
from support.waiting import eventually


@contextmanager
def stopped_postgres(url: str) -> Iterator[None]:
    """Let every process of a server stand still until the block ends."""
    with psycopg.connect(url) as connection:
        server = psutil.Process(connection.info.backend_pid).parent()
    stopped = [server.pid]
    try:
        stop(server.pid)
        for child in server.children(recursive=True):  # it makes no more of them
            stopped.append(child.pid)
            stop(child.pid)
        yield
    finally:
        for pid in stopped:
            _send(pid, signal.SIGCONT)


def stop(pid: int) -> None:
    """Let a process stand still, each of its threads, from now on; they may take a moment."""
    if _send(pid, signal.SIGSTOP):
        eventually(lambda: _states(pid) <= {"T", "Z"})


def _states(pid: int) -> set[str]:
    """The states of a process's threads: what follows the name, which may hold brackets itself."""
    found = set()
    for stat in Path(f"/proc/{pid}/task").glob("*/stat"):
        with suppress(FileNotFoundError, ProcessLookupError):  # a thread that has just ended
            found.add(stat.read_text().rpartition(")")[2].split()[0])
    return found


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


def _send(pid: int, number: signal.Signals) -> bool:
    """Return whether there was anybody to send it to."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return False  # a connection that was just closed
    return True
