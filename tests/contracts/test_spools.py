"""What every spool promises, checked on a folder and on object stores that replicas share."""

import hashlib
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from octomil.control.blobs import shared_spool
from octomil.control.blobs.catalog import open_spool
from octomil.control.ports import Spool
from octomil.errors import BadRequestError, ConflictError, NotFoundError, ServiceUnavailableError

EVER = datetime(9999, 1, 1, tzinfo=UTC)


@pytest.fixture
def replica(blob_url: str, tmp_path: Path, monkeypatch) -> Callable[[str], Spool]:
    """Open the spool of a replica by its name; the same name is the same folder."""
    monkeypatch.setattr(shared_spool, "SEGMENT_BYTES", 4)
    return lambda name: open_spool(blob_url, tmp_path / name)


@pytest.fixture
def spool(replica: Callable[[str], Spool]) -> Spool:
    return replica("one")


def sent(spool: Spool, upload_id: str, offset: int, data: bytes) -> int:
    """Add bytes as a request does: they are acknowledged then."""
    end = spool.append(upload_id, offset, data)
    spool.sync(upload_id)
    return end


def test_bytes_arrive_in_order_and_are_hashed(spool: Spool):
    assert sent(spool, "u1", 0, b"abcdef") == 6
    assert spool.append("u1", 6, b"gh") == 8
    assert spool.append("u1", 8, b"ijk") == 11
    assert spool.offset("u1") == 11

    file = spool.finish("u1")

    assert file.path.read_bytes() == b"abcdefghijk"
    assert file.digest == hashlib.sha256(b"abcdefghijk").hexdigest()
    assert file.size_bytes == 11


def test_the_end_gives_up_what_is_read_to_be_finished_and_keeps_it(replica):
    sent(replica("one"), "u1", 0, b"abcdef")
    ending = replica("one")

    ending.close()

    with pytest.raises(ServiceUnavailableError, match="stopping"):
        ending.finish("u1")
    assert ending.offset("u1") == 6
    assert replica("one").finish("u1").digest == hashlib.sha256(b"abcdef").hexdigest()


def test_what_was_never_synced_is_whole_too(spool: Spool):
    spool.append("u1", 0, b"abc")

    assert spool.finish("u1").digest == hashlib.sha256(b"abc").hexdigest()


@pytest.mark.parametrize("offset", [0, 2, 4])
def test_bytes_for_another_place_are_refused_and_told_where_to_go_on(spool: Spool, offset: int):
    sent(spool, "u1", 0, b"abc")

    with pytest.raises(ConflictError, match="stands at byte 3") as refusal:
        spool.append("u1", offset, b"x")

    assert refusal.value.details == {"offset": 3}
    assert spool.offset("u1") == 3


def test_an_upload_goes_on_after_a_restart(replica: Callable[[str], Spool]):
    sent(replica("one"), "u1", 0, b"abc")
    later = replica("one")

    assert later.offset("u1") == 3
    sent(later, "u1", 3, b"def")

    assert later.finish("u1").digest == hashlib.sha256(b"abcdef").hexdigest()


def test_an_empty_upload_is_one(spool: Spool):
    spool.append("u1", 0, b"")
    spool.sync("u1")

    assert spool.offset("u1") == 0
    assert spool.finish("u1").size_bytes == 0


def test_finishing_twice_gives_the_same(spool: Spool):
    sent(spool, "u1", 0, b"abcdef")

    first, second = spool.finish("u1"), spool.finish("u1")

    assert first == second
    assert second.path.read_bytes() == b"abcdef"


def test_a_dropped_upload_begins_anew(spool: Spool):
    sent(spool, "u1", 0, b"abcdef")
    left = spool.finish("u1").path

    spool.drop("u1")
    spool.drop("u1")

    assert not left.exists()
    assert spool.offset("u1") == 0
    sent(spool, "u1", 0, b"xyz")
    assert spool.finish("u1").digest == hashlib.sha256(b"xyz").hexdigest()


def test_an_upload_that_never_began_is_not_there(spool: Spool):
    assert spool.offset("u9") == 0
    for call in (spool.finish, spool.sync):
        with pytest.raises(NotFoundError, match="u9"):
            call("u9")


def test_uploads_are_known_by_when_they_last_grew(spool: Spool):
    sent(spool, "u1", 0, b"abc")
    spool.append("u2", 0, b"abc")

    assert sorted(spool.untouched(EVER)) == ["u1", "u2"]
    assert spool.untouched(datetime(2001, 1, 1, tzinfo=UTC)) == []


@pytest.mark.parametrize("upload_id", ["", "../x", "a/b", "a.b", "a" * 129])
def test_an_id_leads_nowhere_else(spool: Spool, upload_id: str):
    with pytest.raises(BadRequestError):
        spool.append(upload_id, 0, b"x")
    with pytest.raises(BadRequestError):
        spool.offset(upload_id)


class TestReplicas:
    """What those promise besides whose bytes are in a bucket."""

    @pytest.fixture
    def blob_url(self, bucket_url: str) -> str:
        return bucket_url

    @pytest.fixture
    def one(self, replica: Callable[[str], Spool]) -> Spool:
        return replica("one")

    @pytest.fixture
    def other(self, replica: Callable[[str], Spool]) -> Spool:
        return replica("other")

    def test_each_goes_on_where_another_stopped(self, one: Spool, other: Spool):
        sent(one, "u1", 0, b"abcdef")
        assert other.offset("u1") == 6
        sent(other, "u1", 6, b"ghi")
        sent(one, "u1", 9, b"jkl")

        file = other.finish("u1")

        assert file.path.read_bytes() == b"abcdefghijkl"
        assert file.digest == hashlib.sha256(b"abcdefghijkl").hexdigest()

    def test_bytes_whose_sender_was_not_answered_may_be_sent_to_another(
        self, one: Spool, other: Spool
    ):
        sent(one, "u1", 0, b"abc")
        one.append("u1", 3, b"lost")

        sent(other, "u1", 3, b"def")
        assert one.offset("u1") == 6
        sent(one, "u1", 6, b"ghi")

        assert one.finish("u1").path.read_bytes() == b"abcdefghi"

    def test_the_same_one_may_be_sent_them_again(self, one: Spool):
        sent(one, "u1", 0, b"abc")
        one.append("u1", 3, b"lo")

        sent(one, "u1", 3, b"def")

        assert one.finish("u1").path.read_bytes() == b"abcdef"

    def test_of_two_that_go_on_at_once_one_is_refused(self, one: Spool, other: Spool):
        one.append("u1", 0, b"abcdef")
        other.append("u1", 0, b"xyz")
        other.sync("u1")

        with pytest.raises(ConflictError) as refusal:
            one.sync("u1")

        assert refusal.value.details == {"offset": 3}
        assert one.offset("u1") == 3
        sent(one, "u1", 3, b"!")
        assert other.finish("u1").path.read_bytes() == b"xyz!"

    def test_one_may_drop_what_another_has_gathered(self, one: Spool, other: Spool):
        sent(one, "u1", 0, b"abcdef")
        left = one.finish("u1").path
        other.drop("u1")
        sent(other, "u1", 0, b"xyz")

        assert one.finish("u1").path.read_bytes() == b"xyz"
        assert not left.exists()

    def test_what_was_gathered_and_left_is_found(self, one: Spool, other: Spool):
        sent(one, "u1", 0, b"abcdef")
        left = one.finish("u1").path
        other.drop("u1")

        assert one.untouched(EVER) == ["u1"]
        one.drop("u1")
        assert not left.exists()
        assert one.untouched(EVER) == []
