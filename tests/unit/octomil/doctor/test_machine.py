import os
import socket
from pathlib import Path

import pytest

from octomil.doctor import machine
from octomil.doctor.finding import Status
from octomil.engines.cores import Cores
from octomil.engines.llama_cpp.process import WorkerProcess
from octomil.engines.llama_cpp.spec import WorkerSpec
from octomil.models.catalog import CATALOG

GB = 10**9


def test_all_cores_are_fine():
    found = machine.check_cores(Cores(logical=8, physical=4, usable=8))

    assert (found.status, found.detail) == (Status.OK, "4 cores, 8 hardware threads")


@pytest.mark.parametrize(
    ("cores", "granted"),
    [
        (Cores(logical=64, physical=32, usable=64, quota=1.5), "1.5"),
        (Cores(logical=8, physical=None, usable=2), "2"),
    ],
)
def test_a_limit_below_the_machine_is_told(cores, granted):
    found = machine.check_cores(cores)

    assert found.status is Status.OK
    assert f"may use {granted}" in found.detail


@pytest.mark.parametrize("check", [machine.check_memory, machine.check_disk])
def test_room_is_judged_by_the_models_of_the_catalog(check):
    largest = max(CATALOG.values(), key=lambda entry: entry.size_bytes)

    assert check(100 * GB).status is Status.OK
    assert check(10_000).status is Status.PROBLEM
    noted = check(largest.size_bytes - 1)
    assert noted.status is Status.NOTE
    assert noted.detail.endswith(f"too little for {largest.name}")


def test_unknown_memory_is_noted():
    assert machine.check_memory(None).hint == "python -m pip install psutil"


def test_a_cache_folder_that_can_be_made_is_fine(tmp_path):
    assert machine.check_cache_dir(tmp_path).detail == str(tmp_path)
    found = machine.check_cache_dir(tmp_path / "not" / "yet")
    assert (found.status, found.detail) == (
        Status.OK,
        f"{tmp_path / 'not' / 'yet'}, made when needed",
    )


def test_a_file_in_place_of_the_cache_folder_is_a_problem(tmp_path):
    (tmp_path / "file").write_text("")

    found = machine.check_cache_dir(tmp_path / "file" / "models")

    assert (found.status, found.detail) == (Status.PROBLEM, f"{tmp_path / 'file'} is no folder")


def test_a_cache_folder_of_somebody_else_is_a_problem(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda *_: False)  # the tests may run as root

    found = machine.check_cache_dir(tmp_path)

    assert found.status is Status.PROBLEM
    assert found.detail == f"{tmp_path} cannot be written by this user"


def test_disk_is_measured_where_the_folder_would_be(tmp_path):
    assert machine.free_disk(tmp_path / "not" / "yet") > 0


def test_a_deep_temporary_folder_is_a_problem():
    example = len("/octomil-abcdefgh/w.sock") + 1
    longest = "/" + "t" * (machine.SOCKET_PATH_BYTES - example - 1)

    assert machine.check_socket_path(longest).status is Status.OK
    assert machine.check_socket_path(longest + "t").status is Status.PROBLEM


async def test_a_worker_names_its_socket_as_the_check_expects():
    worker = WorkerProcess(WorkerSpec(name="x", path=Path("x.gguf")))
    try:
        folder = Path(worker.socket).parent.parent
        assert len(worker.socket) == len(f"{folder}/octomil-abcdefgh/w.sock")
    finally:
        await worker.stop()


def test_a_taken_port_is_noted():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        found = machine.check_port("127.0.0.1", port)

    assert found.status is Status.NOTE
    assert found.detail == f"127.0.0.1:{port} cannot be had: Address already in use"
    assert "--port" in found.hint


def test_a_free_port_is_fine():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]

    assert machine.check_port("127.0.0.1", port).status is Status.OK
