import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from octomil.doctor import network
from octomil.doctor.finding import Status
from support.waiting import PATIENCE_S

NOBODY = "http://127.0.0.1:9"  # the discard port: connections are refused


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let pip take the time that a busy machine needs to start it."""
    monkeypatch.setattr(network, "_PIP_S", PATIENCE_S)


@dataclass
class Listener:
    url: str = ""
    seen: list[tuple[str, str, str | None]] = field(default_factory=list)


@pytest.fixture
def listener() -> Iterator[Listener]:
    """A server that knows one package and answers 401 to all else."""
    heard = Listener()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            heard.seen.append((self.command, self.path, self.headers["Authorization"]))
            project = network.probe_project()
            is_page = self.path == f"/simple/{project}/"
            name = f"{project.replace('-', '_')}-0.1.2-py3-none-any.whl"
            body = f"<a href='{name}'>{name}</a>".encode() if is_page else b""
            self.send_response(200 if is_page else 401)
            self.send_header("Content-Type", "text/html")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_HEAD = do_GET  # noqa: N815 - the handler is found by this name

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    heard.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield heard
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def pip_environ(index: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PIP_")}
    return kept | {"PIP_CONFIG_FILE": os.devnull, "PIP_INDEX_URL": index}


@pytest.mark.parametrize(
    ("check", "path"),
    [
        (network.check_hub, "/"),
        (network.check_ollama, "/api/version"),
        (network.check_openai, "/models"),
    ],
)
def test_any_answer_counts_and_no_key_is_sent(listener, check, path):
    found = check(listener.url)

    assert (found.status, found.detail) == (Status.OK, f"{listener.url} answers")
    assert listener.seen == [("HEAD", path, None)]


@pytest.mark.parametrize("check", [network.check_hub, network.check_ollama, network.check_openai])
def test_silence_is_a_note(check):
    found = check(NOBODY)

    assert found.status is Status.NOTE
    assert found.detail.startswith("no answer from 127.0.0.1")
    assert found.hint


@pytest.mark.parametrize(
    "address", ["localhost:11434", "ftp://host", "http://", "http://host:port"]
)
def test_what_is_no_address_is_a_problem(address):
    found = network.check_ollama(address)

    assert found.status is Status.PROBLEM
    assert repr(address) in found.detail


def test_no_openai_endpoint_is_fine():
    assert network.check_openai("").status is Status.OK


def test_a_password_in_an_address_is_not_shown():
    assert network.shown_address("https://me:secret@hub.example/x") == "https://hub.example/x"


def test_pip_asks_its_own_index(listener):
    found = network.check_index(pip_environ(f"{listener.url}/simple"))

    assert found.status is Status.OK
    assert found.detail == f"pip finds {network.probe_project()} (0.1.2)"
    assert {method for method, _, _ in listener.seen} <= {"GET", "HEAD"}


def test_an_index_that_does_not_answer_is_a_note():
    found = network.check_index(pip_environ(f"{NOBODY}/simple"))

    assert found.status is Status.NOTE
    assert network.probe_project() in found.detail


def test_pips_last_error_is_told():
    errors = "WARNING: slow\nERROR: first\nERROR: No matching distribution found for x\n"

    found = network.judge_index("x", 1, "", errors)

    assert found.detail == "pip does not find x: No matching distribution found for x"
    assert network.judge_index("x", 2, "", "").detail.endswith("pip ended with status 2")
