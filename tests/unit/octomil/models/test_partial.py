import hashlib
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from octomil.errors import InsufficientSpaceError
from octomil.models.partial import Partial, format_size, read_json, require_space, write_json
from support.waiting import PATIENCE_S


@pytest.fixture
def partial(tmp_path):
    partial = Partial(tmp_path / "tiny.partial")
    partial.begin("origin")
    return partial


def test_a_file_grows_over_several_openings_and_keeps_its_digest(partial):
    with partial.open("a.bin") as file:
        file.write(b"hello ")
    with partial.open("a.bin") as file:
        file.write(b"world")
        digest = file.sha256

    assert (partial.folder / "a.bin").read_bytes() == b"hello world"
    assert digest == hashlib.sha256(b"hello world").hexdigest()


def test_bytes_past_the_ledger_are_cut_off(partial):
    with partial.open("a.bin") as file:
        file.write(b"safe, torn")
    with partial.open("a.bin", size_bytes=4) as file:
        assert file.size_bytes == 4
        file.write(b"!")

    assert (partial.folder / "a.bin").read_bytes() == b"safe!"


def test_a_file_shorter_than_the_ledger_starts_again(partial):
    with partial.open("a.bin") as file:
        file.write(b"abc")
    with partial.open("a.bin", size_bytes=5) as file:
        assert file.size_bytes == 0

    assert (partial.folder / "a.bin").read_bytes() == b""


def test_restart_forgets_bytes_and_digest(partial):
    with partial.open("a.bin") as file:
        file.write(b"wrong")
        file.restart()
        file.write(b"right")

        assert file.sha256 == hashlib.sha256(b"right").hexdigest()
    assert (partial.folder / "a.bin").read_bytes() == b"right"


def test_the_same_origin_keeps_what_is_there_another_does_not(partial):
    (partial.folder / "a.bin").write_bytes(b"abc")
    partial.record("a.bin", parts=1)

    partial.begin("origin")
    kept = (partial.folder / "a.bin").exists(), partial.state("a.bin")
    partial.begin("elsewhere")

    assert kept == (True, {"parts": 1})
    assert not (partial.folder / "a.bin").exists()
    assert partial.state("a.bin") == {}


def test_publishing_replaces_the_target_as_a_whole(partial, tmp_path):
    target = tmp_path / "tiny"
    target.mkdir()
    (target / "old.bin").write_bytes(b"old")
    (partial.folder / "a.bin").write_bytes(b"new")

    partial.publish(target)

    assert [path.name for path in target.iterdir()] == ["a.bin"]
    assert [path.name for path in tmp_path.iterdir()] == ["tiny"]


def test_json_is_replaced_as_a_whole_and_junk_reads_as_empty(tmp_path):
    path = tmp_path / "x.json"
    write_json(path, {"a": 1})
    assert read_json(path) == {"a": 1}

    for junk in ("", "[1]", "{", "\x00"):
        path.write_text(junk)
        assert read_json(path) == {}
    assert read_json(tmp_path / "absent.json") == {}


def test_json_is_written_by_many_at_once(tmp_path):
    path = tmp_path / "x.json"
    begins = threading.Barrier(6)

    def write(writer: int) -> list[object]:
        begins.wait(PATIENCE_S)
        seen = []
        for _ in range(50):
            write_json(path, {"writer": writer})
            seen.append(read_json(path).get("writer"))
        return seen

    with ThreadPoolExecutor(6) as threads:
        seen = [each for of_one in threads.map(write, range(6)) for each in of_one]

    assert set(seen) <= set(range(6))
    assert [each.name for each in tmp_path.iterdir()] == ["x.json"]


def test_what_cannot_fit_is_refused_with_both_figures(tmp_path):
    with pytest.raises(InsufficientSpaceError, match=r"needs 1000000000\.0 GB .* are free"):
        require_space(tmp_path, 10**18, purpose="huge")


@pytest.mark.parametrize(
    ("size", "text"), [(0, "0 B"), (999, "999 B"), (1000, "1 kB"), (2_019_377_600, "2.0 GB")]
)
def test_sizes_are_written_in_powers_of_1000(size, text):
    assert format_size(size) == text
