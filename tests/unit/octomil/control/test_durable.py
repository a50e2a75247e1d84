"""Which folders are synced, so that what is made and removed in them stays so without power."""

import errno
import hashlib
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from octomil.control import durable
from octomil.control.blobs.local import LocalBlobs
from octomil.control.records import SpooledFile
from support.folders import names_in

CONTENT = b"weights"
DIGEST = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The folders that are synced, in turn."""
    found: list[Path] = []
    sync = durable.sync_folder
    monkeypatch.setattr(durable, "sync_folder", lambda path: (found.append(path), sync(path)))
    return found


def spooled(folder: Path) -> SpooledFile:
    path = folder / "upload"
    path.write_bytes(CONTENT)
    return SpooledFile(path=path, digest=DIGEST, size_bytes=len(CONTENT))


def test_new_folders_are_synced_from_the_first_that_was_missing(tmp_path: Path, synced: list[Path]):
    durable.make_root(tmp_path / "a" / "b")

    assert synced == [tmp_path, tmp_path / "a"]
    assert (tmp_path / "a" / "b").is_dir()


def test_folders_that_somebody_else_has_just_made_are_synced(tmp_path: Path, synced: list[Path]):
    (tmp_path / "a" / "b").mkdir(parents=True)

    durable.make_folders(tmp_path / "a" / "b", tmp_path)

    assert synced == [tmp_path, tmp_path / "a"]


def test_a_removed_blob_does_not_come_back(tmp_path: Path, synced: list[Path]):
    blobs = LocalBlobs(tmp_path / "blobs")
    blobs.put(spooled(tmp_path))
    synced.clear()

    blobs.delete(DIGEST)
    blobs.delete(DIGEST)  # nor one whose removal somebody had no time to sync
    blobs.delete("f" * 64)

    assert synced[:2] == [tmp_path / "blobs" / "sha256" / DIGEST[:2] / DIGEST[2:4]] * 2
    assert list(blobs.digests()) == []


def test_a_copy_that_nobody_ended_goes_with_the_next_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    blobs = LocalBlobs(tmp_path / "blobs")
    coming = tmp_path / "blobs" / "incoming"
    coming.mkdir()
    for name, age_s in (("left", 25 * 3600), ("new", 0)):
        (coming / name).write_bytes(b"wei")
        at = (datetime.now(UTC) - timedelta(seconds=age_s)).timestamp()
        os.utime(coming / name, (at, at))
    rename = Path.rename

    def rename_nearby(self: Path, target: Path) -> Path:
        if self.parent == tmp_path:
            raise OSError(errno.EXDEV, "on another file system")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", rename_nearby)

    blobs.put(spooled(tmp_path))

    assert b"".join(blobs.read(DIGEST)) == CONTENT
    assert names_in(coming) == ["new"]
    assert not (tmp_path / "upload").exists()
