"""`octomil up` as a process: its first start, its folder, its end."""

import signal
import stat
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from support.certificates import certificate
from support.control import API, bearer, printed_key, upping
from support.waiting import PATIENCE_S, eventually

DEVICE = {"device_identifier": "box-1"}


def refused(*arguments: str, **env: str) -> str:
    """What `octomil up ARGUMENTS` complains about."""
    done = subprocess.run(
        [sys.executable, "-m", "octomil.cli.main", "up", *arguments, "--port", "0"],
        capture_output=True, text=True, timeout=PATIENCE_S, check=False, env=env or None,
    )  # fmt: skip
    assert done.returncode == 1, done.stdout
    assert done.stdout == ""
    return done.stderr


def test_the_first_start_prints_a_key_and_later_ones_go_on_with_it(tmp_path: Path):
    folder = tmp_path / "new" / "data"
    with upping(folder) as served:
        key = printed_key(served)
        body = served.post(f"{API}/devices/register", DEVICE, headers=bearer(key)).json()
        assert served.stop() == 0
    with upping(folder) as served:
        assert printed_key(served) is None
        device = served.get(f"{API}/devices/{body['id']}", headers=bearer(key)).json()

    assert device["device_identifier"] == "box-1"
    assert device["last_seen_at"] is not None  # written down as it stopped
    assert key.startswith("edg_")
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    kept = b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())
    assert key.encode() not in kept


def test_in_a_folder_that_others_can_look_into_they_can_read_nothing(tmp_path: Path):
    folder = tmp_path / "data"
    folder.mkdir(mode=0o755)
    with upping(folder) as served:
        eventually(lambda: served.get("/ready").status_code == 200)
        kept = [path for path in folder.rglob("*") if path.is_file()]

        assert len(kept) > 2
        assert [path for path in kept if path.stat().st_mode & 0o077] == []


def test_a_second_one_on_the_same_folder_is_refused(tmp_path: Path):
    with upping(tmp_path / "data") as served:
        assert "used by another `octomil up`" in refused("--data-dir", str(tmp_path / "data"))
        assert served.get("/health").status_code == 200


def test_a_folder_of_something_else_is_left_alone(tmp_path: Path):
    (tmp_path / "thesis.tex").write_text("x", encoding="utf-8")

    assert "not empty" in refused("--data-dir", str(tmp_path))
    assert {path.name for path in tmp_path.iterdir()} <= {"thesis.tex", "lock"}


def test_a_folder_of_a_later_version_is_refused(tmp_path: Path):
    (tmp_path / "FORMAT").write_text("octomil control plane, format 9\n", encoding="utf-8")

    assert "format 9" in refused("--data-dir", str(tmp_path))


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1"])
def test_keys_do_not_cross_a_network_in_the_clear(host: str, tmp_path: Path):
    complaint = refused("--host", host, "--data-dir", str(tmp_path / "data"))

    assert "--tls-cert" in complaint
    assert not (tmp_path / "data").exists()


def test_running_requests_end_before_it_does(tmp_path: Path):
    with (
        upping(tmp_path / "data", "--drain-timeout", "600") as served,
        httpx.Client(base_url=served.url, timeout=PATIENCE_S) as client,
    ):
        key = printed_key(served)

        def body():
            yield b'{"device_identifier": '
            served.process.send_signal(signal.SIGTERM)
            eventually(lambda: not listens(served.url))
            yield b'"box-1"}'

        headers = bearer(key) | {"content-type": "application/json"}
        answer = client.post(f"{API}/devices/register", content=body(), headers=headers)

        assert answer.json()["device_identifier"] == "box-1"
        assert served.process.wait(timeout=PATIENCE_S) == 0


def listens(url: str) -> bool:
    try:
        httpx.get(f"{url}/health", timeout=PATIENCE_S)
    except httpx.TransportError:
        return False
    return True


INTERRUPTED = """
import os, signal, sys
from octomil.control import app

class Swallows:
    def __del__(self):  # what is raised here is raised to nobody
        os.kill(os.getpid(), signal.SIGINT)

framework_app = app.framework_app
def interrupted():
    Swallows()
    return framework_app()
app.framework_app = interrupted

from octomil.cli.main import main
sys.exit(main(sys.argv[1:]))
"""


def test_an_interrupt_ends_its_start_wherever_it_comes(tmp_path: Path):
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED, "up", "--data-dir", str(tmp_path), "--port", "0"],
        capture_output=True, text=True, timeout=PATIENCE_S, check=False,
    )  # fmt: skip

    assert done.returncode == -signal.SIGINT
    assert "Data in" in done.stdout
    assert "Listening" not in done.stdout


def test_it_speaks_https(tmp_path: Path):
    pair = certificate(tmp_path)
    arguments = ("--tls-cert", str(pair), "--tls-key", str(pair), "--host", "127.0.0.1")
    with upping(tmp_path / "data", *arguments) as served:
        assert served.url.startswith("https://localhost:")
        assert served.get("/health").json()["status"] == "ok"


def test_a_database_that_does_not_answer_is_named_without_its_password(tmp_path: Path):
    import os

    env = {**os.environ, "DATABASE_URL": "postgresql://ann:hunter2@127.0.0.1:1/x"}
    complaint = refused("--data-dir", str(tmp_path / "data"), **env)

    assert "127.0.0.1:1" in complaint
    assert "hunter2" not in complaint
