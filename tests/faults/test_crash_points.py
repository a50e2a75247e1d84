"""A sample of `bench/crashes.py`: a control plane that is killed at each named point, once.

Nothing acknowledged is lost, nothing is half there, and what clients are told agrees with the
files, the manifests and the audit.
"""

import copy
import random
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from bench.crash_checks import ViolationError, check_all
from bench.crash_clients import Client, Held, Memory
from bench.crash_points import GROUP, POINTS
from bench.crash_series import Series
from bench.crashes import SEED, schedule
from bench.dying import function_at

from support.control import bearer, printed_key, upping

SAMPLE = schedule(1, 0, random.Random(SEED))


@pytest.mark.slow
@pytest.mark.parametrize("points", SAMPLE, ids=[each[0] for each in SAMPLE])
def test_killed_at_each_point_it_loses_nothing(tmp_path: Path, points: list[str]):
    series = Series(tmp_path / "data", random.Random(SEED))

    series.run(points)

    assert series.hits == Counter(points)
    assert len(series.restarts_s) == len(points)


def test_the_sample_has_every_point():
    assert {point for points in SAMPLE for point in points} >= POINTS.keys()


def test_the_campaign_meets_each_point_as_often_as_it_says():
    planned = Counter(point for points in schedule(5, 200, random.Random(1)) for point in points)

    assert {planned[point] for point in POINTS} == {5}
    assert planned.total() == 200


@pytest.mark.parametrize("target", sorted({GROUP, *(each.target for each in POINTS.values())}))
def test_each_point_is_in_a_function_that_is_there(target: str):
    owner, name = function_at(target)

    assert callable(getattr(owner, name))


def lose_a_version(_folder: Path, memory: Memory) -> None:
    memory.versions["9.0.0"] = Held(b"never sent")


def forget_a_version(_folder: Path, memory: Memory) -> None:
    memory.versions.popitem()


def change_a_file(folder: Path, _memory: Memory) -> None:
    path = next((folder / "blobs").glob("sha256/*/*/*"))
    path.write_bytes(path.read_bytes()[:-1])


def expect_another_file(_folder: Path, memory: Memory) -> None:
    next(iter(memory.versions.values())).content = b"another"


def expect_another_move(_folder: Path, memory: Memory) -> None:
    memory.moves.append("9.0.0")


def leave_scratch(folder: Path, _memory: Memory) -> None:
    (folder / "uploads" / "scratch" / "left").touch()


TAMPERED: dict[Callable[[Path, Memory], None], str] = {
    lose_a_version: r"\['9.0.0'\] are lost",
    forget_a_version: r"\['1.1.0'\] extra",
    change_a_file: "fsck: 1 of",
    expect_another_file: "the file of 1.1.0 is another",
    expect_another_move: "the alias went",
    leave_scratch: "scratch",
}


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory):
    """A control plane that one client has used, and what that client knows."""
    folder = tmp_path_factory.mktemp("lived") / "data"
    with upping(folder) as served:
        headers, client = bearer(printed_key(served)), Client(1)
        with httpx.Client(base_url=served.url, headers=headers, timeout=120) as api:
            client.live(api)
            check_all(folder, api, [client])
            yield folder, api, client


@pytest.mark.parametrize(
    ("tamper", "complaint"), TAMPERED.items(), ids=[each.__name__ for each in TAMPERED]
)
def test_each_check_finds_what_it_is_for(lived, tamper, complaint: str):
    folder, api, client = lived
    memory = client.memory
    kept = {path: path.read_bytes() for path in (folder / "blobs").rglob("*") if path.is_file()}
    client.memory = copy.deepcopy(memory)
    try:
        tamper(folder, client.memory)
        with pytest.raises(ViolationError, match=complaint):
            check_all(folder, api, [client])
    finally:
        client.memory = memory
        for path, content in kept.items():
            path.write_bytes(content)
        for path in (folder / "uploads" / "scratch").iterdir():
            path.unlink()
    check_all(folder, api, [client])
