"""A Postgres server for a bench: the one that the tests use, in a process that ends with ours."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

from bench.process import BenchError
from bench.report import ROOT

_SERVER = """
import sys
from support.postgres import postgres_server

with postgres_server() as url:
    print(url, flush=True)
    sys.stdin.read()
"""


@contextmanager
def postgres() -> Iterator[str]:
    """Run a server until the block ends; yields the URL of its first database.

    Raises:
        BenchError: it cannot be had on this machine.
    """
    tests = f"{ROOT}{os.pathsep}{ROOT / 'tests'}"
    process = subprocess.Popen(
        [sys.executable, "-c", _SERVER],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        env=os.environ | {"PYTHONPATH": tests},
    )  # fmt: skip
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        url = process.stdout.readline().strip()
        if not url:
            raise BenchError("there is no Postgres here; install the extra `dev`")
        yield url
    finally:
        process.stdin.close()
        process.stdout.close()
        process.wait(timeout=60)


def database_at(url: str, name: str) -> str:
    """The URL of another database of the same server."""
    return urlsplit(url)._replace(path=f"/{name}").geturl()
