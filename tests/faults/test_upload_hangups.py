"""Clients that leave, or stop sending, in the middle of a file."""

import json
import socket
from http.client import HTTPResponse
from pathlib import Path

import httpx
import pytest

from support.control import API, bearer, printed_key, upping
from support.folders import names_in
from support.serving import ServeProcess
from support.waiting import eventually

HALF = b'--b\r\nContent-Disposition: form-data; name="file"; filename="m"\r\n\r\n' + bytes(
    3_000_000
)


def head_of(method: str, path: str, key: str, **headers: str) -> bytes:
    lines = [f"{method} {API}{path} HTTP/1.1", "host: localhost", f"authorization: Bearer {key}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode()


def connected(served: ServeProcess) -> socket.socket:
    port = httpx.URL(served.url).port
    assert port is not None
    return socket.create_connection(("127.0.0.1", port), timeout=120)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("hangups") / "data"


@pytest.fixture(scope="module")
def served(folder: Path):
    with upping(folder) as served:
        yield served


def test_a_form_that_breaks_off_leaves_nothing_behind(served: ServeProcess, folder: Path):
    key, uploads = printed_key(served) or "", folder / "uploads"
    before = names_in(uploads)
    with httpx.Client(base_url=served.url, headers=bearer(key), timeout=120) as client:
        model = client.post(f"{API}/models", json={"name": "m"}).json()["id"]
        with connected(served) as connection:
            connection.sendall(
                head_of("POST", f"/models/{model}/versions/upload", key,
                        content_type="multipart/form-data; boundary=b",
                        content_length=str(len(HALF) * 2))
            )  # fmt: skip
            connection.sendall(HALF)
            eventually(lambda: names_in(uploads) != before)

        eventually(lambda: names_in(uploads) == before)
        assert client.get(f"{API}/models/{model}/versions").json() == {"versions": []}


def test_an_upload_that_breaks_off_keeps_what_arrived(served: ServeProcess):
    key = printed_key(served) or ""
    with httpx.Client(base_url=served.url, headers=bearer(key), timeout=120) as client:
        upload = client.post(f"{API}/uploads", json={"size_bytes": 9_000_000}).json()["id"]
        with connected(served) as connection:
            connection.sendall(
                head_of("PATCH", f"/uploads/{upload}", key, upload_offset="0",
                        content_length="9000000")
            )  # fmt: skip
            connection.sendall(bytes(3_000_000))
            eventually(lambda: client.get(f"{API}/uploads/{upload}").json()["offset"] > 0)

        def gone_on_with() -> bool:
            """As a client does: from where the upload stands, which may move for a moment yet."""
            here = client.get(f"{API}/uploads/{upload}").json()["offset"]
            assert 0 < here <= 3_000_000
            answer = client.patch(
                f"{API}/uploads/{upload}",
                content=bytes(9_000_000 - here),
                headers={"upload-offset": str(here)},
            )
            assert answer.status_code in (200, 409), answer.text
            return answer.status_code == 200

        eventually(gone_on_with)
        assert client.get(f"{API}/uploads/{upload}").json()["offset"] == 9_000_000


def test_a_refused_file_is_not_waited_for(served: ServeProcess):
    """Who has no key is told at once, however much there is to send."""
    with connected(served) as connection:
        connection.sendall(head_of("POST", "/models/x/versions/upload", "edg_wrong",
                                   content_length="5000000000",
                                   content_type="multipart/form-data; boundary=b"))  # fmt: skip
        answer = HTTPResponse(connection)
        answer.begin()

        assert answer.status == 401
        assert json.loads(answer.read())["error"] == "unauthorized"
