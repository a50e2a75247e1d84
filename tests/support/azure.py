"""Azure's own emulator, Azurite, on the loopback; ended by its id."""

import base64
import hashlib
import hmac
import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from email.utils import formatdate
from http.client import HTTPConnection
from pathlib import Path

from support.waiting import eventually

PROGRAM = "OCTOMIL_TEST_AZURITE"
"""The variable that says where `azurite-blob` is; the campaign installs it."""

CONTAINER = "octomil-test"
_ACCOUNT = "devstoreaccount1"
_KEY = (  # the emulator's well-known one, which is in its manual
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
)
_LISTENS = re.compile(r"listens on http://127\.0\.0\.1:(\d+)")


@contextmanager
def azure_server(log: Path) -> Iterator[dict[str, str]]:
    """Run the emulator with `CONTAINER`; yields the variables that lead to it by `az://`."""
    command = [
        *(
            os.environ[PROGRAM],
            "--blobHost",
            "127.0.0.1",
            "--blobPort",
            "0",
            "--inMemoryPersistence",
        ),
        *("--disableTelemetry", "--skipApiVersionCheck"),
    ]
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, cwd=log.parent)
    try:
        port = eventually(lambda: _port(process, log))
        eventually(lambda: _made_container(process, port, log))
        yield {
            "AZURE_STORAGE_ACCOUNT_NAME": _ACCOUNT,
            "AZURE_STORAGE_ACCOUNT_KEY": _KEY,
            "AZURE_STORAGE_ENDPOINT": f"http://127.0.0.1:{port}/{_ACCOUNT}",
        }
    finally:
        process.terminate()
        process.wait(timeout=120)


def _port(process: subprocess.Popen, log: Path) -> int | None:
    """Where the emulator listens, once it has said so: it takes a port that nobody has."""
    said = log.read_text()
    assert process.poll() is None, said
    found = _LISTENS.search(said)
    return int(found[1]) if found else None


def _made_container(process: subprocess.Popen, port: int, log: Path) -> bool:
    """Make the container, by a request signed with the account's key; obstore makes none."""
    assert process.poll() is None, log.read_text()
    path, moment, version = f"/{_ACCOUNT}/{CONTAINER}", formatdate(usegmt=True), "2021-08-06"
    signed = "PUT" + "\n" * 12 + f"x-ms-date:{moment}\nx-ms-version:{version}\n"
    signed += f"/{_ACCOUNT}{path}\nrestype:container"
    mac = hmac.new(base64.b64decode(_KEY), signed.encode(), hashlib.sha256).digest()
    headers = {
        "x-ms-date": moment,
        "x-ms-version": version,
        "authorization": f"SharedKey {_ACCOUNT}:{base64.b64encode(mac).decode()}",
        "content-length": "0",
    }
    connection = HTTPConnection("127.0.0.1", port, timeout=120)
    try:
        connection.request("PUT", f"{path}?restype=container", headers=headers)
        assert connection.getresponse().status == 201
    except ConnectionRefusedError:
        return False
    finally:
        connection.close()
    return True
