import hashlib
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from octomil.control.blobs import spool as module
from octomil.control.blobs.spool import UploadSpool
from octomil.errors import BadRequestError, ConflictError, NotFoundError


@pytest.fixture
def spool(tmp_path: Path) -> UploadSpool:
    return UploadSpool(tmp_path)


def test_bytes_arrive_in_order_and_are_hashed(spool: UploadSpool):
    assert spool.append("u1", 0, b"abc") == 3
    assert spool.append("u1", 3, b"def") == 6

    file = spool.finish("u1")

    assert file.path.read_bytes() == b"abcdef"
    assert file.digest == hashlib.sha256(b"abcdef").hexdigest()
    assert file.size_bytes == 6


@pytest.mark.parametrize("offset", [0, 2, 4])
def test_bytes_for_another_place_are_refused_and_told_where_to_go_on(spool: UploadSpool, offset):
    spool.append("u1", 0, b"abc")

    with pytest.raises(ConflictError, match="stands at byte 3") as refusal:
        spool.append("u1", offset, b"x")

    assert refusal.value.details == {"offset": 3}
    assert spool.offset("u1") == 3


def test_an_upload_goes_on_after_a_restart(spool: UploadSpool, tmp_path: Path):
    spool.append("u1", 0, b"abc")
    later = UploadSpool(tmp_path)

    assert later.offset("u1") == 3
    later.append("u1", 3, b"def")

    assert later.finish("u1").digest == hashlib.sha256(b"abcdef").hexdigest()


def test_of_many_uploads_none_forgets_what_it_has(spool: UploadSpool, monkeypatch):
    monkeypatch.setattr(module, "MAX_REMEMBERED", 2)
    for piece, offset in ((b"ab", 0), (b"cd", 2)):
        for number in range(5):
            spool.append(f"u{number}", offset, piece)

    digests = {spool.finish(f"u{number}").digest for number in range(5)}

    assert digests == {hashlib.sha256(b"abcd").hexdigest()}


def test_a_dropped_upload_begins_anew(spool: UploadSpool):
    spool.append("u1", 0, b"abc")

    spool.drop("u1")
    spool.drop("u1")

    assert spool.offset("u1") == 0
    spool.append("u1", 0, b"xyz")
    assert spool.finish("u1").digest == hashlib.sha256(b"xyz").hexdigest()


def test_an_upload_that_never_began_cannot_be_finished(spool: UploadSpool):
    with pytest.raises(NotFoundError, match="u9"):
        spool.finish("u9")


@pytest.mark.parametrize("upload_id", ["", "../x", "a/b", "a.b", "a" * 129])
def test_an_id_leads_nowhere_else(spool: UploadSpool, upload_id: str):
    with pytest.raises(BadRequestError):
        spool.append(upload_id, 0, b"x")


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


def test_there_is_nothing_to_sync_of_an_upload_that_is_not_there(tmp_path: Path):
    with pytest.raises(NotFoundError):
        UploadSpool(tmp_path).sync("u1")


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
