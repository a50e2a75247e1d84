"""The spool of reports: nothing is lost that fits, nothing is torn, no number comes twice."""

from pathlib import Path

import pytest

from octomil.device.report_spool import ReportSpool


def opened(path: Path, **options) -> ReportSpool:
    return ReportSpool(path / "spool", **options)


def waiting(spool: ReportSpool) -> list[tuple[int, object]]:
    return [(each.number, each.content) for each in spool.first(10_000, 2**30)]


def test_what_waits_is_there_after_a_restart_and_numbers_go_on(tmp_path: Path):
    first = opened(tmp_path)
    for content in ("a", {"b": 1.5}, "ä\n"):
        first.append(content)
    first.settle(1)
    first.close()

    again = opened(tmp_path)
    again.append("d")

    assert again.name == first.name
    assert waiting(again)[-3:] == [(2, {"b": 1.5}), (3, "ä\n"), (4, "d")]
    again.settle(4)
    again.close()
    last = opened(tmp_path)
    assert len(last) == 0
    last.append("e")
    assert waiting(last) == [(5, "e")]
    assert last.dropped == 0
    last.close()


def test_a_torn_line_is_not_there_and_a_damaged_one_is_counted(tmp_path: Path):
    spool = opened(tmp_path)
    for content in "abc":
        spool.append(content)
    spool.close()
    path = tmp_path / "spool"
    whole = path.read_bytes()
    for end in range(len(whole) - len(whole.split(b"\n")[-2]), len(whole)):
        path.write_bytes(whole[:end])
        torn = opened(tmp_path)
        assert (waiting(torn), torn.dropped) == ([(1, "a"), (2, "b")], 0), end
        torn.append("next")
        assert waiting(torn)[-1] == (3, "next")
        torn.close()

    path.write_bytes(whole.replace(b'"b"', b'"x"'))
    damaged = opened(tmp_path)
    assert (waiting(damaged), damaged.dropped) == ([(1, "a"), (3, "c")], 1)
    damaged.close()
    again = opened(tmp_path)
    again.close()
    assert again.dropped == 1


def test_without_its_head_it_is_another_spool_and_what_it_had_is_counted(tmp_path: Path):
    spool = opened(tmp_path)
    spool.append("a")
    spool.append("b")
    spool.close()
    path = tmp_path / "spool"
    path.write_bytes(b"x" + path.read_bytes())

    other = opened(tmp_path)

    assert (other.name != spool.name, waiting(other), other.dropped) == (True, [], 2)
    other.close()


@pytest.mark.parametrize("content", [b"", b"\n", b"{}\n", b"\x00" * 100])
def test_a_file_that_is_no_spool_is_begun_anew(tmp_path: Path, content: bytes):
    (tmp_path / "spool").write_bytes(content)
    spool = opened(tmp_path)
    spool.append("a")
    assert waiting(spool) == [(1, "a")]
    spool.close()


def test_it_stays_within_its_size_and_counts_the_oldest_as_dropped(tmp_path: Path):
    spool = opened(tmp_path, max_bytes=2_000)
    largest = 0
    for number in range(200):
        spool.append(f"{number:050}")
        largest = max(largest, (tmp_path / "spool").stat().st_size)

    left = waiting(spool)
    assert largest <= 2_000
    assert [number for number, _ in left] == list(range(201 - len(left), 201))
    assert len(left) > 10
    assert spool.dropped == 200 - len(left)
    spool.close()
    again = opened(tmp_path, max_bytes=2_000)
    assert (waiting(again), again.dropped) == (left, spool.dropped)
    again.close()


def test_what_was_sent_makes_room_before_anything_is_dropped(tmp_path: Path):
    spool = opened(tmp_path, max_bytes=2_000)
    for number in range(1, 200):
        spool.append(f"{number:050}")
        spool.settle(number - 1)
    assert (spool.dropped, [number for number, _ in waiting(spool)]) == (0, [199])
    spool.close()


def test_some_are_so_many_and_so_large_at_most_and_one_always(tmp_path: Path):
    spool = opened(tmp_path)
    for _ in range(5):
        spool.append("x" * 100)
    size = len(spool.first(1, 1)[0].line)
    asked = [(3, 2**30), (9, 2 * size), (9, 1), (9, 2**30)]
    assert [len(spool.first(*each)) for each in asked] == [3, 2, 1, 5]
    spool.close()


def test_who_closed_it_writes_no_more(tmp_path: Path):
    old = opened(tmp_path)
    old.append("a")
    old.close()
    new = opened(tmp_path)
    new.append("b")

    old.settle(1)

    new.close()
    again = opened(tmp_path)
    again.close()
    assert waiting(again) == [(1, "a"), (2, "b")]
