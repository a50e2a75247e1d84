"""A real S3 server on the loopback, in a process of its own.

It speaks the dialect of Google Cloud Storage's XML interface, too, which is S3's but for who asks
and what a condition is called. That is what obstore speaks to Google. Of its emulators,
fake-gcs-server 1.54.0 refuses a PUT that names no `uploadType`, and every upload in parts.
"""

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
from urllib.parse import unquote
from moto.moto_server import threaded_moto_server as threaded

class BothDialects(threaded.DomainDispatcherApplication):
    def __call__(self, environ, start_response):
        if environ.get("HTTP_AUTHORIZATION", "").startswith("Bearer "):  # Google's, not Amazon's
            scope = "test/20260101/us-east-1/s3/aws4_request"
            environ["HTTP_AUTHORIZATION"] = "AWS4-HMAC-SHA256 Credential=" + scope
            environ["RAW_URI"] = unquote(environ["RAW_URI"])  # quoted more than it must be
        if environ.pop("HTTP_X_GOOG_IF_GENERATION_MATCH", None) == "0":
            environ["HTTP_IF_NONE_MATCH"] = "*"
        return super().__call__(environ, start_response)

threaded.DomainDispatcherApplication = BothDialects
server = threaded.ThreadedMotoServer("127.0.0.1", 0)
server.start()
print("listening", *server.get_host_and_port(), flush=True)
sys.stdin.read()
server.stop()
"""
BUCKET = "octomil-test"
CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_REGION": "us-east-1",
    "GOOGLE_BEARER_TOKEN": "test",
}


@contextmanager
def s3_server(log: Path) -> Iterator[dict[str, str]]:
    """Run a server with `BUCKET`; yields the variables that lead to it, by `s3://` and `gs://`.

    Who uses it has a prefix of their own there.
    """
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
        assert eventually(lambda: _request(host, int(port), "PUT", f"/{BUCKET}")) == 200
        url = f"http://{host}:{port}"
        yield {**CREDENTIALS, "AWS_ENDPOINT_URL": url, "GOOGLE_BASE_URL": url}
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=120)
        process.stdin.close()
        process.stdout.close()


def _request(host: str, port: int, method: str, path: str) -> int:
    connection = HTTPConnection(host, port, timeout=120)
    try:
        connection.request(method, path)
        return connection.getresponse().status
    finally:
        connection.close()
