"""A real S3 server on the loopback, in a process of its own."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from importlib.util import find_spec
from pathlib import Path

from support.needs import skip_or_fail
from support.waiting import eventually

_SERVER = """
import sys
from moto.server import ThreadedMotoServer

server = ThreadedMotoServer("127.0.0.1", 0)
server.start()
print("listening", *server.get_host_and_port(), flush=True)
sys.stdin.read()
server.stop()
"""
CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_REGION": "us-east-1",
}


@contextmanager
def s3_server(bucket: str, log: Path) -> Iterator[dict[str, str]]:
    """Run a server with one bucket; yields the variables that lead to it."""
    if find_spec("moto") is None:
        skip_or_fail("moto, which serves S3, is not installed")
    with log.open("wb") as errors:
        process = subprocess.Popen(
            [sys.executable, "-c", _SERVER],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True,
            env={**os.environ, "PYTHONWARNINGS": "default"},
        )  # fmt: skip
    try:
        said = next(line for line in process.stdout if line.startswith("listening "))
        _, host, port = said.split()
        assert eventually(lambda: _request(host, int(port), "PUT", f"/{bucket}")) == 200
        yield {**CREDENTIALS, "AWS_ENDPOINT_URL": f"http://{host}:{port}"}
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=30)
        process.stdin.close()
        process.stdout.close()


def _request(host: str, port: int, method: str, path: str) -> int:
    connection = HTTPConnection(host, port, timeout=30)
    try:
        connection.request(method, path)
        return connection.getresponse().status
    finally:
        connection.close()
