"""Collecting garbage while the same bytes come back."""

import hashlib
import os
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from octomil.control.plane import ControlPlane
from octomil.control.services.garbage import GRACE, Garbage
from support import model_files as made
from support.control import WallClock, control_plane

CONTENT = made.safetensors_file(w=[1.0])
DIGEST = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def clock() -> WallClock:
    return WallClock()


@pytest.fixture
def plane(tmp_path: Path, clock: WallClock) -> Iterator[ControlPlane]:
    with control_plane(tmp_path, clock) as plane:
        yield plane


def keep(plane: ControlPlane, upload_id: str = "u1") -> None:
    plane.spool.append(upload_id, 0, CONTENT)
    plane.intake.keep(upload_id)


def test_bytes_that_nobody_refers_to_stay_for_a_while(plane: ControlPlane, clock: WallClock):
    keep(plane)
    clock.advance(seconds=GRACE.total_seconds())
    assert plane.garbage.collect().removed == 0
    clock.advance(seconds=1)

    collected = plane.garbage.collect()

    assert (collected.removed, collected.bytes) == (1, len(CONTENT))
    assert plane.blobs.size(DIGEST) is None


def test_bytes_that_come_again_begin_a_new_while(plane: ControlPlane, clock: WallClock):
    keep(plane)
    clock.advance(seconds=GRACE.total_seconds())
    keep(plane)
    clock.advance(seconds=60)

    assert plane.garbage.collect().removed == 0
    assert plane.blobs.size(DIGEST) == len(CONTENT)


class SlowBlobs:
    """A blob store that waits before it deletes, as a far one may."""

    def __init__(self, plane: ControlPlane) -> None:
        self._blobs = plane.blobs
        self.is_deleting, self.go_on = threading.Event(), threading.Event()

    def delete(self, digest: str) -> None:
        self.is_deleting.set()
        assert self.go_on.wait(10)
        self._blobs.delete(digest)


def test_bytes_that_come_again_while_they_are_removed_are_not_lost(
    plane: ControlPlane, clock: WallClock
):
    keep(plane)
    clock.advance(seconds=GRACE.total_seconds() + 1)
    slow = SlowBlobs(plane)
    garbage = Garbage(plane.store, slow, plane.spool, clock)
    collector = threading.Thread(target=garbage.collect)
    sender = threading.Thread(target=keep, args=(plane, "u2"))

    collector.start()
    assert slow.is_deleting.wait(10)
    sender.start()
    sender.join(0.3)
    assert sender.is_alive()  # it waits
    slow.go_on.set()
    collector.join(10)
    sender.join(10)

    assert b"".join(plane.blobs.read(DIGEST)) == CONTENT
    assert plane.garbage.collect().removed == 0


def test_what_a_collector_left_that_died_is_finished(plane: ControlPlane, clock: WallClock):
    keep(plane)
    clock.advance(seconds=GRACE.total_seconds() + 1)
    with plane.store.system() as tx:
        tx.blob_ledger.condemn(clock(), clock(), 10)
    assert plane.garbage.collect().removed == 0  # it may still be at it
    clock.advance(seconds=timedelta(minutes=11).total_seconds())

    assert plane.garbage.collect().removed == 1

    keep(plane)
    assert plane.blobs.size(DIGEST) == len(CONTENT)


class StoppingBlobs:
    """A blob store beside which the process is stopped for minutes at each deletion."""

    def __init__(self, plane: ControlPlane, clock: WallClock) -> None:
        self._blobs, self._clock = plane.blobs, clock

    def delete(self, digest: str) -> None:
        self._blobs.delete(digest)
        self._clock.advance(seconds=301)


def test_a_late_collector_leaves_the_rest_to_others(plane: ControlPlane, clock: WallClock):
    keep(plane)
    plane.spool.append("u2", 0, made.onnx_file())
    plane.intake.keep("u2")
    clock.advance(seconds=GRACE.total_seconds() + 1)

    late = Garbage(plane.store, StoppingBlobs(plane, clock), plane.spool, clock).collect()

    assert late.removed == 1
    clock.advance(seconds=301)
    assert plane.garbage.collect().removed == 1
    assert list(plane.blobs.digests()) == []


def test_bytes_in_the_spool_that_are_of_no_upload_go(
    plane: ControlPlane, clock: WallClock, tmp_path: Path
):
    """What a form leaves behind whose server was killed."""
    plane.spool.append("left", 0, b"x")
    plane.spool.append("new", 0, b"x")
    old = (clock() - GRACE - timedelta(seconds=1)).timestamp()
    new = clock().timestamp()
    os.utime(tmp_path / "uploads" / "left.part", (old, old))
    os.utime(tmp_path / "uploads" / "new.part", (new, new))

    plane.garbage.collect()

    assert (plane.spool.offset("left"), plane.spool.offset("new")) == (0, 1)
