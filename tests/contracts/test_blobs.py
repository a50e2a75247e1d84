"""What every blob store promises, checked on a local folder and on object stores."""

import hashlib
from pathlib import Path

import pytest

from octomil.control.blobs.catalog import open_blobs
from octomil.control.blobs.spool import UploadSpool
from octomil.control.ports import BlobStore
from octomil.control.records import SpooledFile
from octomil.errors import BadRequestError, ConfigurationError, NotFoundError


@pytest.fixture
def blobs(blob_url: str) -> BlobStore:
    return open_blobs(blob_url)


@pytest.fixture
def spool(tmp_path: Path) -> UploadSpool:
    return UploadSpool(tmp_path / "uploads")


def spooled(spool: UploadSpool, content: bytes) -> SpooledFile:
    spool.append("u1", 0, content)
    file = spool.finish("u1")
    assert file.digest == hashlib.sha256(content).hexdigest()
    return file


def test_a_blob_comes_back_as_it_was(blobs: BlobStore, spool: UploadSpool):
    content = bytes(range(256)) * 20_000  # more than one piece, and more than one part
    file = spooled(spool, content)

    blobs.put(file)

    assert b"".join(blobs.read(file.digest)) == content
    assert blobs.size(file.digest) == len(content)
    assert not file.path.exists()


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        (0, 4, b"0123"),
        (4, None, b"456789"),
        (3, 7, b"3456"),
        (8, 100, b"89"),
        (5, 5, b""),
        (10, None, b""),
    ],
)
def test_a_part_of_a_blob_is_read(blobs: BlobStore, spool: UploadSpool, start, end, expected):
    file = spooled(spool, b"0123456789")
    blobs.put(file)

    assert b"".join(blobs.read(file.digest, start, end)) == expected


def test_the_same_content_is_kept_once(blobs: BlobStore, spool: UploadSpool):
    first = spooled(spool, b"weights")
    blobs.put(first)
    spool.drop("u1")
    second = spooled(spool, b"weights")

    blobs.put(second)

    assert b"".join(blobs.read(first.digest)) == b"weights"
    assert not second.path.exists()


def test_a_blob_that_was_cut_short_is_whole_again_once_it_is_put_again(
    blobs: BlobStore, spool: UploadSpool
):
    digest = hashlib.sha256(b"weights").hexdigest()
    damaged = spooled(spool, b"weigh")
    blobs.put(SpooledFile(path=damaged.path, digest=digest, size_bytes=damaged.size_bytes))
    assert b"".join(blobs.read(digest)) == b"weigh"
    spool.drop("u1")

    blobs.put(spooled(spool, b"weights"))

    assert b"".join(blobs.read(digest)) == b"weights"


def test_an_empty_blob_is_one(blobs: BlobStore, spool: UploadSpool):
    file = spooled(spool, b"")
    blobs.put(file)

    assert blobs.size(file.digest) == 0
    assert b"".join(blobs.read(file.digest)) == b""


def test_what_is_not_there_is_told_at_once(blobs: BlobStore):
    digest = hashlib.sha256(b"nothing").hexdigest()

    assert blobs.size(digest) is None
    with pytest.raises(NotFoundError, match=digest):
        blobs.read(digest)


def test_all_digests_are_listed(blobs: BlobStore, spool: UploadSpool):
    assert list(blobs.digests()) == []
    digests = set()
    for number in range(3):
        file = spooled(spool, f"weights {number}".encode())
        blobs.put(file)
        spool.drop("u1")
        digests.add(file.digest)

    assert set(blobs.digests()) == digests


def test_a_deleted_blob_is_gone(blobs: BlobStore, spool: UploadSpool):
    file = spooled(spool, b"weights")
    blobs.put(file)

    blobs.delete(file.digest)
    blobs.delete(file.digest)

    assert blobs.size(file.digest) is None


@pytest.mark.parametrize("digest", ["", "../../etc/passwd", "AB" * 32, "ab" * 31, "g" * 64])
def test_what_is_no_digest_is_refused(blobs: BlobStore, digest: str):
    with pytest.raises(BadRequestError):
        blobs.size(digest)


@pytest.mark.parametrize("url", ["", "blobs", "ftp://host/x", "s3://", "file://host/x"])
def test_a_url_that_names_no_place_is_refused(url: str):
    with pytest.raises(ConfigurationError, match="names no place for blobs"):
        open_blobs(url)
