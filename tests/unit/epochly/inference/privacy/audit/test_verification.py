"""Whatever is done to any record of a log, the verifier names the first that is not right."""

import pytest

from epochly.inference.privacy.audit import verify_audit_log
from epochly.inference.privacy.audit.chain import GENESIS, Link, parse_line
from epochly.inference.privacy.audit.files import log_files
from epochly.inference.privacy.audit.head import HEAD_NAME, Head, read_head
from support.audit_logs import KEY, lines_of, replace_lines, write_log

COUNT = 7


@pytest.fixture(params=[None, KEY], ids=["plain", "keyed"])
def key(request: pytest.FixtureRequest) -> bytes | None:
    return request.param


@pytest.fixture(params=[None, 3], ids=["one file", "files of 3"])
def folder(tmp_path, key: bytes | None, request: pytest.FixtureRequest):
    write_log(tmp_path, COUNT, key=key, per_file=request.param)
    return tmp_path


def test_a_log_as_it_was_written_is_right(folder, key):
    verified = verify_audit_log(folder, key)

    assert verified.ok
    assert verified.first_bad is None
    assert (verified.records, verified.unacknowledged, verified.torn_bytes) == (COUNT, 0, 0)


def test_a_folder_without_a_log_is_right_and_empty(tmp_path):
    assert verify_audit_log(tmp_path).records == 0
    assert verify_audit_log(str(tmp_path)).ok


def test_every_edited_byte_of_every_record_is_found(folder, key):
    lines = lines_of(folder)
    for number, line in enumerate(lines, start=1):
        for at in range(0, len(line), 7):
            edited = bytearray(line)
            edited[at] ^= 1
            replace_lines(folder, [*lines[: number - 1], bytes(edited), *lines[number:]])

            verified = verify_audit_log(folder, key)

            assert verified.first_bad is not None
            assert verified.first_bad.sequence == number
            assert verified.records == number - 1


def test_every_edited_entry_is_named_with_its_file_and_line(folder, key):
    lines = lines_of(folder)
    for number in range(1, COUNT + 1):
        edited = lines[number - 1].replace(f'"n":{number}'.encode(), b'"n":9')
        replace_lines(folder, [*lines[: number - 1], edited, *lines[number:]])

        bad = verify_audit_log(folder, key).first_bad

        place = f"{bad.file}:{bad.line}"
        assert str(bad) == (
            f"record {number} ({place}) was edited: its digest is not that of its content"
        )
        assert (folder / bad.file).read_bytes().splitlines(True)[bad.line - 1] == edited


def test_every_removed_record_is_found(folder, key):
    lines = lines_of(folder)
    for number in range(1, COUNT + 1):
        replace_lines(folder, lines[: number - 1] + lines[number:])

        bad = verify_audit_log(folder, key).first_bad

        assert bad is not None
        assert bad.sequence == number
        assert "removed" in bad.reason or "cut short" in bad.reason


def test_every_swap_of_two_records_is_found(folder, key):
    lines = lines_of(folder)
    for first in range(COUNT):
        for second in range(first + 1, COUNT):
            swapped = list(lines)
            swapped[first], swapped[second] = swapped[second], swapped[first]
            replace_lines(folder, swapped)

            bad = verify_audit_log(folder, key).first_bad

            assert bad is not None
            assert bad.sequence == first + 1


def test_every_doubled_record_is_found(folder, key):
    lines = lines_of(folder)
    for number in range(1, COUNT + 1):
        replace_lines(folder, [*lines[:number], lines[number - 1], *lines[number:]])

        bad = verify_audit_log(folder, key).first_bad

        assert bad is not None
        assert bad.sequence == number + 1


def test_every_truncation_is_found(folder, key):
    paths = log_files(folder)
    last = paths[-1]
    data = last.read_bytes()
    before = COUNT - len(data.splitlines())
    ends = {at + 1 for at, byte in enumerate(data) if byte == ord("\n")}
    for length in sorted({*range(0, len(data), 5), *ends} - {len(data)}):
        last.write_bytes(data[:length])

        verified = verify_audit_log(folder, key)

        assert verified.first_bad is not None
        assert verified.first_bad.sequence == before + data[:length].count(b"\n") + 1


def test_every_removed_file_is_found(folder, key):
    for path in log_files(folder):
        data = path.read_bytes()
        first = parse_line(data.splitlines(True)[0]).sequence
        path.unlink()

        bad = verify_audit_log(folder, key).first_bad

        assert bad is not None
        assert bad.sequence == first
        path.write_bytes(data)


def test_a_log_without_its_head_cannot_be_proved(folder, key):
    (folder / HEAD_NAME).unlink()

    bad = verify_audit_log(folder, key).first_bad

    assert (bad.sequence, bad.file) == (COUNT + 1, HEAD_NAME)
    assert "head is missing" in bad.reason


def test_an_edited_head_is_named(folder, key):
    data = (folder / HEAD_NAME).read_bytes()
    (folder / HEAD_NAME).write_bytes(data.replace(b'"sequence":7', b'"sequence":5'))

    assert "the head was edited" in verify_audit_log(folder, key).first_bad.reason


def rechained(lines: list[bytes], key: bytes | None) -> list[bytes]:
    """What a forger makes who can compute digests."""
    sequence, digest, chained = 0, GENESIS, []
    for line in lines:
        link = Link.after(sequence, digest, parse_line(line).entry, key)
        sequence, digest = link.sequence, link.digest
        chained.append(link.line())
    return chained


def test_a_recomputed_chain_does_not_fit_the_head(folder, key):
    lines = lines_of(folder)
    replace_lines(folder, rechained([lines[0], *lines[2:], lines[1]], key))

    bad = verify_audit_log(folder, key).first_bad

    assert bad.sequence == COUNT
    assert "not the record that the head was made for" in bad.reason


def forge(folder, lines: list[bytes]) -> None:
    """Write a history, its chain and its head without knowing the key."""
    replace_lines(folder, rechained(lines, None))
    last = parse_line(lines_of(folder)[-1])
    path = log_files(folder)[-1]
    head = Head(last.sequence, last.digest.hex(), path.name, path.stat().st_size, keyed=False)
    (folder / HEAD_NAME).write_bytes(head.sealed(None))


def test_only_a_key_withstands_a_forger_who_recomputes_everything(folder, key):
    kept_elsewhere = read_head(folder, key)
    forge(folder, lines_of(folder)[1:])

    verified = verify_audit_log(folder, key)

    assert verified.ok == (key is None)
    assert not verify_audit_log(folder, key, expected=kept_elsewhere).ok


def test_a_head_kept_elsewhere_finds_a_return_to_an_older_state(tmp_path, key):
    write_log(tmp_path, 3, key=key)
    older = {path: path.read_bytes() for path in tmp_path.iterdir()}
    write_log(tmp_path, 2, key=key)
    kept_elsewhere = read_head(tmp_path, key)
    assert verify_audit_log(tmp_path, key, expected=kept_elsewhere).ok
    for path, data in older.items():
        path.write_bytes(data)

    assert verify_audit_log(tmp_path, key).ok
    bad = verify_audit_log(tmp_path, key, expected=kept_elsewhere).first_bad
    assert (bad.sequence, bad.line) == (4, 0)


def test_a_log_grows_past_a_head_kept_elsewhere(tmp_path, key):
    write_log(tmp_path, 3, key=key)
    kept_elsewhere = read_head(tmp_path, key)
    write_log(tmp_path, 2, key=key)

    assert verify_audit_log(tmp_path, key, expected=kept_elsewhere).ok


def test_another_key_proves_nothing(tmp_path):
    write_log(tmp_path, 2, key=KEY)

    assert verify_audit_log(tmp_path, KEY[::-1]).first_bad.sequence == 1
    assert "none was given" in verify_audit_log(tmp_path).first_bad.reason or (
        verify_audit_log(tmp_path).first_bad.sequence == 1
    )


def test_what_a_crash_leaves_behind_the_head_is_told_and_no_fault(tmp_path, key):
    write_log(tmp_path, 2, key=key)
    (path,) = log_files(tmp_path)
    path.write_bytes(path.read_bytes() + b'{"digest":"12')

    verified = verify_audit_log(tmp_path, key)

    assert (verified.ok, verified.records, verified.torn_bytes) == (True, 2, 13)
