import os
import stat
import subprocess
import sys
from datetime import timedelta

import pytest

from epochly.errors import AuditError
from epochly.inference.privacy.audit.files import AuditFiles, log_files
from epochly.inference.privacy.audit.head import HEAD_NAME
from epochly.inference.privacy.audit.verification import verify_audit_log
from support.audit_logs import DAY, KEY, entries, lines_of, write_log


def test_files_and_folder_are_closed_to_others(tmp_path):
    folder = tmp_path / "new" / "audit"
    folder.mkdir(parents=True, mode=0o777)

    write_log(folder, 1)

    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}


def test_a_second_writer_is_refused_until_the_first_has_closed(tmp_path):
    first = AuditFiles(tmp_path, None)
    with pytest.raises(AuditError, match="another process writes"):
        AuditFiles(tmp_path, None)

    first.close()
    first.close()

    AuditFiles(tmp_path, None).close()


def test_a_log_that_was_closed_is_free_while_a_process_is_started(tmp_path):
    files = AuditFiles(tmp_path, None)
    copy = os.dup(files._lock)  # as a child has until it becomes another program
    files.close()

    AuditFiles(tmp_path, None).close()
    os.close(copy)


def test_the_chain_runs_on_across_days_sizes_and_restarts(tmp_path):
    files = AuditFiles(tmp_path, KEY, max_file_bytes=500)
    for number in range(1, 5):
        files.commit(entries(number), DAY)
    files.commit(entries(5, 6), DAY + timedelta(days=1))
    files.close()
    write_log(tmp_path, 2, key=KEY)

    assert [path.name for path in log_files(tmp_path)] == [
        "00000001-2026-05-01.jsonl",
        "00000002-2026-05-01.jsonl",
        "00000003-2026-05-02.jsonl",
        "00000004-2026-05-01.jsonl",
    ]
    verified = verify_audit_log(tmp_path, KEY)
    assert (verified.ok, verified.records) == (True, 8)


def test_every_torn_ending_is_cut_off_and_the_chain_goes_on(tmp_path):
    write_log(tmp_path, 2)
    last = lines_of(tmp_path)[-1]
    (path,) = log_files(tmp_path)
    whole = path.read_bytes()
    torn_endings = [last[:cut] for cut in range(1, len(last))]

    for ending in [*torn_endings, b"\0" * 4096, b"{}\n" + last, b"\n"]:
        path.write_bytes(whole + ending)
        files = AuditFiles(tmp_path, None)
        assert files.discarded_bytes == len(ending)
        assert files.head.sequence == 2
        files.close()
        assert path.read_bytes() == whole

    write_log(tmp_path, 1)
    assert verify_audit_log(tmp_path).records == 3


def test_whole_records_behind_the_head_are_kept(tmp_path):
    write_log(tmp_path, 1)
    head = (tmp_path / HEAD_NAME).read_bytes()
    write_log(tmp_path, 3)
    (tmp_path / HEAD_NAME).write_bytes(head)
    assert verify_audit_log(tmp_path).unacknowledged == 3

    files = AuditFiles(tmp_path, None)
    files.close()

    assert (files.head.sequence, files.discarded_bytes) == (4, 0)
    assert verify_audit_log(tmp_path).unacknowledged == 0


def test_a_new_file_that_a_crash_left_empty_is_taken_away(tmp_path):
    write_log(tmp_path, 1)
    (tmp_path / "00000002-2026-05-02.jsonl").write_bytes(b"")

    write_log(tmp_path, 1)

    assert len(log_files(tmp_path)) == 1
    assert verify_audit_log(tmp_path).records == 2


def test_a_new_file_that_a_crash_left_whole_is_taken_over(tmp_path):
    write_log(tmp_path, 1, per_file=1)
    head = (tmp_path / HEAD_NAME).read_bytes()
    files = AuditFiles(tmp_path, None)
    files.commit(entries(2), DAY + timedelta(days=1))
    files.close()
    (tmp_path / HEAD_NAME).write_bytes(head)

    files = AuditFiles(tmp_path, None)
    files.commit(entries(3), DAY + timedelta(days=1))
    files.close()

    assert (files.head.sequence, files.head.file) == (3, "00000002-2026-05-02.jsonl")
    assert verify_audit_log(tmp_path).ok


@pytest.mark.parametrize("cut", [1, 5, None])
def test_a_log_that_was_cut_short_is_not_written_on(tmp_path, cut: int | None):
    write_log(tmp_path, 2)
    (path,) = log_files(tmp_path)
    path.write_bytes(path.read_bytes()[:-cut] if cut else b"")

    with pytest.raises(AuditError, match="cut short or changed: record 2"):
        AuditFiles(tmp_path, None)


def test_a_log_whose_last_file_is_gone_is_not_written_on(tmp_path):
    write_log(tmp_path, 2, per_file=1)
    log_files(tmp_path)[-1].unlink()

    with pytest.raises(AuditError, match="cut short or changed"):
        AuditFiles(tmp_path, None)


def test_a_log_without_or_with_a_foreign_head_is_not_written_on(tmp_path):
    write_log(tmp_path, 1, key=KEY)
    with pytest.raises(AuditError, match="another key"):
        AuditFiles(tmp_path, KEY[::-1])

    (tmp_path / HEAD_NAME).unlink()
    with pytest.raises(AuditError, match="records but no head"):
        AuditFiles(tmp_path, KEY)


def test_a_folder_that_cannot_be_used_is_named(tmp_path):
    (tmp_path / "file").write_text("")

    with pytest.raises(AuditError, match="cannot be opened"):
        AuditFiles(tmp_path / "file", None)


def test_a_link_in_place_of_a_file_is_not_followed(tmp_path):
    target = tmp_path / "target"
    target.write_bytes(b"mine")
    folder = tmp_path / "audit"
    folder.mkdir()
    (folder / "00000001-2026-05-01.jsonl").symlink_to(target)

    files = AuditFiles(tmp_path / "other", None)
    (tmp_path / "other/00000001-2026-05-01.jsonl").symlink_to(target)
    with pytest.raises(OSError, match="symbolic"):
        files.commit(entries(1), DAY)
    files.close()

    assert target.read_bytes() == b"mine"


@pytest.mark.parametrize("failing", ["pwrite", "fdatasync", "fsync", "ftruncate"])
def test_a_commit_that_fails_can_be_made_again(tmp_path, monkeypatch, failing: str):
    files = AuditFiles(tmp_path, None)
    files.commit(entries(1), DAY)

    def refuse(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, failing, refuse)
        with pytest.raises(OSError, match="No space"):
            files.commit(entries(2), DAY)
        with pytest.raises(OSError, match="No space"):
            files.commit(entries(2), DAY + timedelta(days=1))
    assert files.head.sequence == 1
    files.commit(entries(2, 3), DAY)
    files.close()

    assert verify_audit_log(tmp_path).records == 3


def test_a_short_write_is_continued(tmp_path, monkeypatch):
    real = os.pwrite
    monkeypatch.setattr(os, "pwrite", lambda file, data, at: real(file, data[:7], at))

    write_log(tmp_path, 3)

    assert verify_audit_log(tmp_path).records == 3


def test_a_new_file_is_durable_in_its_folder_before_it_is_acknowledged(tmp_path, monkeypatch):
    files = AuditFiles(tmp_path, None)
    synced: list[int] = []
    real = os.fsync

    def record(descriptor: int) -> None:
        synced.append(os.fstat(descriptor).st_ino)
        real(descriptor)

    monkeypatch.setattr(os, "fsync", record)

    files.commit(entries(1), DAY)
    files.close()

    assert synced == [tmp_path.stat().st_ino, (tmp_path / HEAD_NAME).stat().st_ino]


WITHOUT_LOCKS = """
import sys
sys.modules["fcntl"] = None
from epochly.inference import AuditLogger, TenantIsolation
from epochly.inference.privacy.audit import AuditJournal

AuditLogger().log_event("gate", 1, "x", "ok")
AuditJournal(sys.argv[1])
"""


def test_a_system_without_file_locks_is_told_so_by_the_log_on_disk_alone(tmp_path):
    words = [sys.executable, "-c", WITHOUT_LOCKS, str(tmp_path)]

    done = subprocess.run(words, capture_output=True, text=True, check=False)

    assert done.stderr.splitlines()[-1].startswith(
        f"epochly.errors.AuditError: the audit log {tmp_path} cannot be kept: "
    )


def test_names_are_those_that_older_logs_have(tmp_path):
    write_log(tmp_path, 2)

    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"head.json", "lock", "00000001-2026-05-01.jsonl"}
