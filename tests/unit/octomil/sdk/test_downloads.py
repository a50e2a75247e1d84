"""Files brought here, from a real server that misbehaves on demand."""

import hashlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from octomil.errors import (
    DigestMismatchError,
    ForbiddenError,
    OctomilClientError,
    ServerUnreachableError,
    UnexpectedAnswerError,
)
from octomil.http.api import ApiClient
from octomil.http.retry import Backoff
from octomil.sdk.downloads import Downloader, RemoteFile
from support.hub import Hub, running_hub
from support.scripted import Answer, Script, problem, scripted
from support.waiting import eventually

DATA = bytes(range(256)) * 20_000  # 5 MB


@pytest.fixture
def hub() -> Iterator[Hub]:
    with running_hub() as hub:
        hub.pages["/blob"] = DATA
        yield hub


def remote(hub: Hub, data: bytes = DATA) -> RemoteFile:
    digest, size = hashlib.sha256(data).hexdigest(), len(data)
    url = f"{hub.url}/blob"
    return RemoteFile(name="m.onnx", url=lambda: url, sha256=digest, size_bytes=size)


def fetch(hub: Hub, target: Path, data: bytes = DATA, report=None) -> Path:
    backoff = Backoff(attempts=3)
    with ApiClient(hub.url, lambda: "edg_1", sleep=lambda _s: None, backoff=backoff) as api:
        options = {"report": report} if report else {}
        downloader = Downloader(api, backoff=backoff, sleep=lambda _s: None, **options)
        return downloader.fetch(remote(hub, data), target)


def only_file(folder: Path) -> Path:
    (found,) = folder.iterdir()
    return found


def test_a_file_arrives_whole_and_leaves_nothing_beside_it(hub: Hub, tmp_path: Path):
    said = []

    fetch(hub, tmp_path / "m.onnx", report=lambda *news: said.append(news))

    assert only_file(tmp_path).read_bytes() == DATA
    assert said[0] == ("m.onnx", 0, len(DATA))
    assert said[-1] == ("m.onnx", len(DATA), len(DATA))
    assert hub.seen[0].authorization is None


def test_a_connection_that_breaks_is_gone_on_with(hub: Hub, tmp_path: Path):
    hub.cuts.extend([1_000_000, 10, 2_000_000])

    fetch(hub, tmp_path / "m.onnx")

    assert only_file(tmp_path).read_bytes() == DATA
    starts = [int(seen.range[6:-1]) if seen.range else 0 for seen in hub.seen]
    assert starts == [0, 1_000_000, 1_000_010, 3_000_010]


EXPIRED = problem("forbidden", 403, message="the link has expired")


def rest() -> Answer:
    start = len(DATA) // 2
    return Answer(DATA[start:], 206, {"Content-Range": f"bytes {start}-{len(DATA) - 1}/*"})


def fetch_by(script: Script, target: Path) -> int:
    """Fetch a file whose link changes with every question; return how often it was asked for."""
    links = (f"{script.url}/link-{number}" for number in count(1))
    asked = []
    file = RemoteFile(
        name="m.onnx",
        url=lambda: asked.append(next(links)) or asked[-1],
        sha256=hashlib.sha256(DATA).hexdigest(),
        size_bytes=len(DATA),
    )
    with ApiClient(script.url, None, sleep=lambda _s: None) as api:
        Downloader(api, sleep=lambda _s: None).fetch(file, target)
    return len(asked)


def test_a_link_that_expires_on_the_way_is_asked_for_again(tmp_path: Path):
    with scripted(Answer(DATA, cut=len(DATA) // 2), EXPIRED, rest()) as script:
        times = fetch_by(script, tmp_path / "m.onnx")

    assert only_file(tmp_path).read_bytes() == DATA
    assert times == 2
    assert [asked.path for asked in script.asked] == ["/link-1", "/link-1", "/link-2"]
    assert script.asked[-1].headers["range"] == f"bytes={len(DATA) // 2}-"


@pytest.mark.parametrize(
    "answers", [[EXPIRED], [Answer(DATA, cut=len(DATA) // 2), EXPIRED, EXPIRED]]
)
def test_a_link_that_is_refused_when_it_is_new_is_an_error(answers, tmp_path: Path):
    with scripted(*answers) as script, pytest.raises(ForbiddenError):
        fetch_by(script, tmp_path / "m.onnx")

    assert len(script.asked) == len(answers)


def test_the_bytes_are_asked_for_as_they_are(tmp_path: Path):
    with scripted(Answer(DATA)) as script:
        fetch_by(script, tmp_path / "m.onnx")

    assert script.asked[0].headers["accept-encoding"] == "identity"


def test_a_server_that_knows_no_ranges_sends_it_all_again(hub: Hub, tmp_path: Path):
    hub.ignores_ranges = True
    hub.cuts.append(1_000_000)

    fetch(hub, tmp_path / "m.onnx")

    assert only_file(tmp_path).read_bytes() == DATA


def test_when_patience_ends_the_next_call_goes_on(hub: Hub, tmp_path: Path):
    hub.cuts.extend([1_000_000, 0, 0, 0])
    with pytest.raises(ServerUnreachableError):
        fetch(hub, tmp_path / "m.onnx")
    assert not (tmp_path / "m.onnx").exists()

    fetch(hub, tmp_path / "m.onnx")

    assert only_file(tmp_path).read_bytes() == DATA
    assert hub.seen[-1].range == "bytes=1000000-"


@pytest.mark.parametrize("at", [0, 4_000_000])
def test_other_bytes_than_promised_are_deleted(hub: Hub, tmp_path: Path, at: int):
    (tmp_path / "m.onnx").write_bytes(b"the version before")
    hub.pages["/blob"] = DATA[:at] + b"!" + DATA[at + 1 :]

    with pytest.raises(DigestMismatchError, match="is not what was promised"):
        fetch(hub, tmp_path / "m.onnx")

    assert only_file(tmp_path).read_bytes() == b"the version before"


@pytest.mark.parametrize("served", [DATA + b"more", DATA[:-1], b""])
def test_a_file_of_another_size_is_no_such_file(hub: Hub, tmp_path: Path, served: bytes):
    hub.pages["/blob"] = served

    with pytest.raises(OctomilClientError) as caught:
        fetch(hub, tmp_path / "m.onnx")

    assert isinstance(caught.value, UnexpectedAnswerError)
    assert not (tmp_path / "m.onnx").exists()


def test_an_empty_file_is_a_file(hub: Hub, tmp_path: Path):
    fetch(hub, tmp_path / "m.onnx", data=b"")

    assert only_file(tmp_path).read_bytes() == b""


def test_two_at_once_wait_for_each_other(hub: Hub, tmp_path: Path):
    threads = [threading.Thread(target=fetch, args=(hub, tmp_path / "m.onnx")) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert only_file(tmp_path).read_bytes() == DATA


PROGRAM = """
import sys
from pathlib import Path
from octomil.http.api import ApiClient
from octomil.sdk.downloads import Downloader, RemoteFile
url, sha256, size, target = sys.argv[1:]
remote = RemoteFile(name="m", url=lambda: url, sha256=sha256, size_bytes=int(size))
Downloader(ApiClient(url, None)).fetch(remote, Path(target))
"""


def test_a_process_that_was_killed_leaves_what_the_next_one_goes_on_with(hub: Hub, tmp_path: Path):
    hub.hold_after = 3_000_000
    file = remote(hub)
    words = (file.url(), file.sha256, str(file.size_bytes), str(tmp_path / "m.onnx"))
    process = subprocess.Popen([sys.executable, "-c", PROGRAM, *words])
    try:
        assert hub.held.wait(120)
        eventually(lambda: only_file(tmp_path).stat().st_size >= 1_000_000)
        os.kill(process.pid, signal.SIGKILL)
    finally:
        process.wait(120)
    hub.hold_after = None
    hub.release.set()
    assert only_file(tmp_path).name != "m.onnx"

    fetch(hub, tmp_path / "m.onnx")

    assert only_file(tmp_path).read_bytes() == DATA
    assert int(hub.seen[-1].range[6:-1]) >= 1_000_000
