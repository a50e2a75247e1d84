"""Collecting garbage while the same bytes come back."""

import hashlib
import os
import threading
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from octomil.control.plane import ControlPlane
from octomil.control.records import Organisation
from octomil.control.services.callers import ALL_SCOPES, Caller
from octomil.control.services.garbage import GRACE, Garbage
from octomil.errors import ServiceUnavailableError
from octomil.wire.uploads import UploadRequest
from support import model_files as made
from support.control import WallClock, control_plane
from support.waiting import PATIENCE_S

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
        assert self.go_on.wait(PATIENCE_S)
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
    assert slow.is_deleting.wait(PATIENCE_S)
    sender.start()
    sender.join(0.3)
    assert sender.is_alive()  # it waits
    slow.go_on.set()
    collector.join(PATIENCE_S)
    sender.join(PATIENCE_S)

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


class EndingBlobs:
    """A blob store beside which the end comes at the first deletion."""

    def __init__(self, plane: ControlPlane) -> None:
        self._blobs, self.garbage = plane.blobs, plane.garbage

    def delete(self, digest: str) -> None:
        self._blobs.delete(digest)
        self.garbage.close()


def test_the_end_waits_for_one_file_and_leaves_the_rest_to_a_later_run(
    plane: ControlPlane, clock: WallClock
):
    keep(plane)
    plane.spool.append("u2", 0, made.onnx_file())
    plane.intake.keep("u2")
    clock.advance(seconds=GRACE.total_seconds() + 1)
    blobs = EndingBlobs(plane)
    blobs.garbage = Garbage(plane.store, blobs, plane.spool, clock)

    assert blobs.garbage.collect().removed == 1

    clock.advance(seconds=timedelta(minutes=11).total_seconds())
    assert plane.garbage.collect().removed == 1
    assert list(plane.blobs.digests()) == []


class FaultyBlobs:
    """A blob store that cannot remove one file."""

    def __init__(self, plane: ControlPlane, digest: str, error: Exception) -> None:
        self._blobs, self._digest, self._error = plane.blobs, digest, error

    def delete(self, digest: str) -> None:
        if digest == self._digest:
            raise self._error
        self._blobs.delete(digest)


@pytest.mark.parametrize("error", [PermissionError("x"), ServiceUnavailableError("x")])
def test_a_file_that_cannot_be_removed_keeps_no_other(
    plane: ControlPlane, clock: WallClock, error: Exception, caplog: pytest.LogCaptureFixture
):
    keep(plane)
    for number in range(3):
        plane.spool.append("u2", 0, made.safetensors_file(w=[float(2 + number)]))
        plane.intake.keep("u2")
    clock.advance(seconds=GRACE.total_seconds() + 1)
    faulty = Garbage(plane.store, FaultyBlobs(plane, DIGEST, error), plane.spool, clock)

    assert faulty.collect().removed == 3
    clock.advance(seconds=timedelta(minutes=11).total_seconds())
    assert faulty.collect().removed == 0  # it is tried again, once
    clock.advance(seconds=timedelta(minutes=11).total_seconds())
    assert plane.garbage.collect().removed == 1

    assert list(plane.blobs.digests()) == []
    assert caplog.text.count(f"the file {DIGEST} cannot be removed") == 2


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


def test_a_collector_that_was_stopped_removes_nothing_that_came_again(
    plane: ControlPlane, clock: WallClock
):
    """It has looked at the clock, and sleeps before it removes, as long as all of this takes."""
    keep(plane)
    clock.advance(seconds=GRACE.total_seconds() + 1)
    stopped_at = clock()
    others = iter([plane.garbage.collect])

    def look() -> datetime:
        with plane.store.system_snapshot() as tx:
            is_condemned = tx.blob_ledger.get(DIGEST) is None
        for collect in others if is_condemned else ():
            clock.advance(seconds=timedelta(minutes=11).total_seconds())
            assert collect().removed == 1
            keep(plane)
        return stopped_at

    late = Garbage(plane.store, plane.blobs, plane.spool, look).collect()

    assert late.removed == 0
    assert b"".join(plane.blobs.read(DIGEST)) == CONTENT


def test_an_upload_that_is_gone_on_with_as_it_is_dropped_stays(
    plane: ControlPlane, clock: WallClock
):
    with plane.store.system() as tx:
        tx.add_organisation(Organisation(id="acme", name="acme", created_at=clock()))
    caller = Caller("acme", "test", (ALL_SCOPES,))
    upload = plane.uploads.begin(caller, UploadRequest(size_bytes=9, name="m"))
    plane.spool.append(upload.id, 0, b"x")
    found = plane.uploads.find(caller, upload.id)
    late = found.expires_at + timedelta(seconds=1)

    class Renewing:
        """A store in which an upload is renewed once it was found to be abandoned."""

        def __getattr__(self, name: str) -> Any:
            return getattr(plane.store, name)

        def transaction(self, organisation: str) -> Any:
            clock.advance(seconds=60)
            plane.uploads.renew(caller, found)
            return plane.store.transaction(organisation)

    collected = Garbage(Renewing(), plane.blobs, plane.spool, lambda: late).collect()

    assert collected.uploads == 0
    assert plane.uploads.get(caller, upload.id).offset == 1


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
