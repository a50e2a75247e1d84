"""Replicas that collect garbage at the same moment."""

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest

from octomil.control.plane import ControlPlane
from octomil.control.services.garbage import GRACE, Garbage
from octomil.control.services.intake import ONNX_DATA
from support.control import WallClock, control_plane
from support.postgres import fresh_database

FILES, REPLICAS = 110, 3  # more than are removed at a time


@pytest.fixture
def clock() -> WallClock:
    return WallClock()


@pytest.fixture
def replicas(postgres: str, tmp_path: Path, clock: WallClock) -> Iterator[list[ControlPlane]]:
    """Planes on one Postgres and one place for blobs."""
    with fresh_database(postgres) as url:
        first = control_plane(tmp_path, clock, database_url=url)
        others = [
            control_plane(tmp_path, clock, database_url=url, uploads=tmp_path / str(number))
            for number in range(REPLICAS - 1)
        ]
        with first as one, others[0] as two, others[1] as three:
            yield [one, two, three]


class CountedBlobs:
    """The blobs, with how often each was deleted."""

    def __init__(self, plane: ControlPlane) -> None:
        self._blobs = plane.blobs
        self.deleted: Counter[str] = Counter()

    def delete(self, digest: str) -> None:
        self.deleted[digest] += 1
        self._blobs.delete(digest)


def test_replicas_that_collect_at_once_remove_each_file_once(
    replicas: list[ControlPlane], clock: WallClock
):
    first, blobs = replicas[0], CountedBlobs(replicas[0])
    for number in range(FILES):
        first.spool.append(f"u{number}", 0, str(number).encode())
        first.intake.keep(f"u{number}", format_=ONNX_DATA)
    clock.advance(seconds=GRACE.total_seconds() + 1)
    together = Barrier(REPLICAS)

    def collect(plane: ControlPlane) -> int:
        together.wait(120)
        return Garbage(plane.store, blobs, plane.spool, clock).collect().removed

    with ThreadPoolExecutor(REPLICAS) as pool:
        removed = list(pool.map(collect, replicas))

    assert sum(removed) == FILES
    assert len(blobs.deleted) == FILES
    assert set(blobs.deleted.values()) == {1}
    assert list(first.blobs.digests()) == []
