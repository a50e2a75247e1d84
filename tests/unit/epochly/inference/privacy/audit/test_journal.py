import errno
import logging
import os
import threading

import pytest

from epochly.errors import AuditError, ConfigurationError
from epochly.inference.privacy.audit import AuditJournal, verify_audit_log
from epochly.inference.privacy.audit.chain import parse_line
from epochly.inference.privacy.audit.files import AuditFiles, log_files
from support.audit_logs import DAY, KEY, lines_of, write_log
from support.waiting import eventually


def recorded(folder) -> list[bytes]:
    return [parse_line(line).entry for line in lines_of(folder)]


def test_what_is_flushed_is_on_the_disk(tmp_path):
    with AuditJournal(tmp_path, KEY, now=lambda: DAY) as journal:
        journal.append({"n": 1})
        journal.append({"n": 2})
        journal.flush(timeout_s=120)

        assert recorded(tmp_path) == [b'{"n":1}', b'{"n":2}']
        assert journal.head.sequence == 2
    assert [path.name for path in log_files(tmp_path)] == ["00000001-2026-05-01.jsonl"]
    assert verify_audit_log(tmp_path, KEY).ok


def test_closing_writes_what_waits_and_ends_the_writer(tmp_path):
    journal = AuditJournal(tmp_path)
    journal.append({"n": 1})

    journal.close()
    journal.close()

    assert recorded(tmp_path) == [b'{"n":1}']
    assert "epochly-audit" not in {thread.name for thread in threading.enumerate()}
    with pytest.raises(AuditError, match="closed"):
        journal.append({"n": 2})


def test_an_entry_is_copied_when_it_is_appended(tmp_path):
    entry = {"details": [1]}
    with AuditJournal(tmp_path) as journal:
        journal.append(entry)
        entry["details"].append(2)

    assert recorded(tmp_path) == [b'{"details":[1]}']


def test_an_entry_without_a_json_form_is_refused_and_harms_nobody(tmp_path):
    with AuditJournal(tmp_path) as journal:
        with pytest.raises(TypeError):
            journal.append({"x": object()})
        with pytest.raises(ValueError, match="Out of range float"):
            journal.append({"x": float("inf")})
        journal.append({"n": 1})

    assert recorded(tmp_path) == [b'{"n":1}']


def test_threads_append_at_once_and_each_keeps_its_order(tmp_path):
    def work(name: int) -> None:
        for number in range(50):
            journal.append({"thread": name, "n": number})
            if number % 10 == 0:
                journal.flush(timeout_s=120)

    with AuditJournal(tmp_path, max_file_bytes=4000) as journal:
        threads = [threading.Thread(target=work, args=(name,)) for name in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    assert verify_audit_log(tmp_path).records == 200
    for name in range(4):
        mine = [entry for entry in recorded(tmp_path) if b'"thread":%d' % name in entry]
        assert mine == [b'{"n":%d,"thread":%d}' % (number, name) for number in range(50)]


def test_what_a_crash_tore_is_written_down(tmp_path):
    write_log(tmp_path, 1)
    (path,) = log_files(tmp_path)
    path.write_bytes(path.read_bytes() + b"torn")

    AuditJournal(tmp_path).close()

    assert recorded(tmp_path)[1] == (
        b'{"details":{"discarded_bytes":4},"operation":"audit.recovered"}'
    )
    assert verify_audit_log(tmp_path).ok


class Disk:
    """Refuses to commit while it is full; counts how often it was asked."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.full = True
        self.asked = threading.Semaphore(0)
        real = AuditFiles.commit

        def commit(files, entries, now) -> None:
            self.asked.release()
            if self.full:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            real(files, entries, now)

        monkeypatch.setattr(AuditFiles, "commit", commit)


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> Disk:
    caplog.set_level(logging.CRITICAL)
    return Disk(monkeypatch)


def test_a_full_disk_is_reported_and_entries_wait_for_it(tmp_path, disk: Disk):
    with AuditJournal(tmp_path, retry_s=0.001) as journal:
        journal.append({"n": 1})
        with pytest.raises(AuditError, match=r"cannot be written.*No space"):
            journal.flush(timeout_s=120)
        journal.append({"n": 2})

        disk.full = False

        eventually(lambda: journal.head.sequence >= 1)
        journal.flush(timeout_s=120)
    assert recorded(tmp_path) == [b'{"n":1}', b'{"n":2}']


def test_what_had_to_be_dropped_is_counted_in_the_log(tmp_path, disk: Disk):
    with AuditJournal(tmp_path, retry_s=0.001, max_pending=2) as journal:
        journal.append({"n": 1})
        disk.asked.acquire()  # the first is with the writer now, so two more may wait
        for number in range(2, 7):
            journal.append({"n": number})
        assert journal.dropped == 3

        disk.full = False

    assert recorded(tmp_path) == [
        *(b'{"n":%d}' % number for number in (1, 2, 3)),
        b'{"details":{"dropped":3},"operation":"audit.dropped"}',
    ]
    assert verify_audit_log(tmp_path).ok


def test_closing_gives_up_on_a_disk_that_refuses(tmp_path, disk: Disk, caplog):
    caplog.set_level(logging.ERROR)
    journal = AuditJournal(tmp_path, retry_s=600)
    journal.append({"n": 1})
    disk.asked.acquire()

    journal.close()

    assert "1 entries of the audit log" in caplog.text
    assert verify_audit_log(tmp_path).records == 0


def test_a_flush_that_takes_too_long_says_so(tmp_path, monkeypatch):
    release = threading.Event()
    real = AuditFiles.commit

    def slow(*arguments: object) -> None:
        release.wait(120)
        real(*arguments)

    monkeypatch.setattr(AuditFiles, "commit", slow)
    with AuditJournal(tmp_path) as journal:
        journal.append({"n": 1})
        try:
            with pytest.raises(AuditError, match=r"within 0\.01 s"):
                journal.flush(timeout_s=0.01)
        finally:
            release.set()


def test_a_forked_process_cannot_write(tmp_path, monkeypatch):
    with AuditJournal(tmp_path) as journal:
        with monkeypatch.context() as patch:
            patch.setattr(os, "getpid", lambda: 1)
            with pytest.raises(AuditError, match="forked"):
                journal.append({"n": 1})
            journal.close()
        journal.append({"n": 2})

    assert recorded(tmp_path) == [b'{"n":2}']


def test_a_key_of_the_wrong_length_is_refused(tmp_path):
    with pytest.raises(ConfigurationError, match="32 bytes, got 3"):
        AuditJournal(tmp_path, b"key")
