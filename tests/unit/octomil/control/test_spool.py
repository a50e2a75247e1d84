"""What is special about the spool in a folder; `tests/contracts/test_spools.py` has the rest."""

import hashlib
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from octomil.control.blobs import spool as module
from octomil.control.blobs.spool import UploadSpool
from octomil.errors import ConflictError


@pytest.fixture
def spool(tmp_path: Path) -> UploadSpool:
    return UploadSpool(tmp_path)


@pytest.mark.parametrize("offset", [0, 2, 4])
def test_bytes_for_another_place_are_refused_and_told_where_to_go_on(spool: UploadSpool, offset):
    spool.append("u1", 0, b"abc")

    with pytest.raises(ConflictError, match="stands at byte 3") as refusal:
        spool.append("u1", offset, b"x")

    assert refusal.value.details == {"offset": 3}
    assert spool.offset("u1") == 3


def test_of_many_uploads_none_forgets_what_it_has(spool: UploadSpool, monkeypatch):
    monkeypatch.setattr(module, "MAX_REMEMBERED", 2)
    for piece, offset in ((b"ab", 0), (b"cd", 2)):
        for number in range(5):
            spool.append(f"u{number}", offset, piece)

    digests = {spool.finish(f"u{number}").digest for number in range(5)}

    assert digests == {hashlib.sha256(b"abcd").hexdigest()}


def test_a_file_of_this_machine_is_taken_in(tmp_path: Path):
    spool = UploadSpool(tmp_path)
    path = spool.scratch / "made"
    path.write_bytes(b"weights")

    file = spool.adopt(path)

    assert (file.path, file.size_bytes) == (path, 7)
    assert file.digest == hashlib.sha256(b"weights").hexdigest()


def test_the_scratch_folder_is_empty_at_the_start(tmp_path: Path):
    (UploadSpool(tmp_path).scratch / "left").mkdir()

    assert list(UploadSpool(tmp_path).scratch.iterdir()) == []


def test_what_is_still_written_there_at_the_start_keeps_nobody_from_starting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    left = UploadSpool(tmp_path).scratch / "left"
    left.mkdir()
    rmdir = os.rmdir

    def late(path, **options) -> None:
        if path == "left":
            (left / "late").write_bytes(b"by a child of a server that was killed")
            monkeypatch.undo()
        rmdir(path, **options)

    monkeypatch.setattr(os, "rmdir", late)
    spool = UploadSpool(tmp_path)

    assert (left / "late").exists()  # this was not in vain
    assert list(UploadSpool(tmp_path).scratch.iterdir()) == []
    spool.append("u1", 0, b"abc")


FULL = """
import resource, signal, sys
from pathlib import Path
from octomil.control.blobs.spool import UploadSpool

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
spool = UploadSpool(Path(sys.argv[1]))
spool.append("u1", 0, b"a" * 1000)
resource.setrlimit(resource.RLIMIT_FSIZE, (1500, 1500))
try:
    spool.append("u1", 1000, b"b" * 1000)
except OSError as error:
    print(type(error).__name__, spool.offset("u1"))
resource.setrlimit(resource.RLIMIT_FSIZE, (1500, 1500))
print(spool.append("u1", 1000, b"c" * 500), spool.finish("u1").digest)
"""


def test_a_write_that_stops_half_way_leaves_the_upload_where_it_stood(tmp_path: Path):
    assert hasattr(resource, "RLIMIT_FSIZE")
    done = subprocess.run(
        [sys.executable, "-c", FULL, str(tmp_path)], capture_output=True, text=True, check=False
    )

    digest = hashlib.sha256(b"a" * 1000 + b"c" * 500).hexdigest()
    assert done.stdout.splitlines() == ["InsufficientSpaceError 1000", f"1500 {digest}"], (
        done.stderr
    )
