"""An audit log whose process is killed loses nothing that it had acknowledged."""

import random
import subprocess
import sys
from datetime import datetime
from pathlib import Path

import pytest

from epochly.inference.privacy.audit import AuditJournal, verify_audit_log
from epochly.inference.privacy.audit.chain import parse_line
from support.audit_logs import DAY, KEY, lines_of

KILLS = 12

WRITER = """
import sys, threading
from epochly.inference.privacy.audit import AuditJournal

folder, first, key = sys.argv[1], int(sys.argv[2]), bytes(range(32))
journal = AuditJournal(folder, key, max_file_bytes=20_000)
say = threading.Lock()

def work(thread):
    n = first
    while True:
        journal.append({"thread": thread, "n": n})
        journal.flush()
        with say:
            print(thread, n, flush=True)
        n += 1

for thread in range(3):
    threading.Thread(target=work, args=(thread,), daemon=True).start()
threading.Event().wait()
"""


def killed_after(folder: Path, first: int, acknowledgements: int) -> list[tuple[int, int]]:
    """Start a writer, kill it after so many acknowledgements; return all that it gave."""
    words = [sys.executable, "-c", WRITER, str(folder), str(first)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(acknowledgements)]
        process.kill()
        lines += process.stdout.read().splitlines(keepends=True)
    assert process.returncode == -9
    return [tuple(map(int, line.split())) for line in lines if line.endswith("\n")]


@pytest.mark.parametrize("seed", [1])
def test_kill_9_loses_no_acknowledged_entry(tmp_path, seed: int):
    chance = random.Random(seed)
    acknowledged: set[tuple[int, int]] = set()
    for kill in range(KILLS):
        acknowledged.update(killed_after(tmp_path, kill * 100_000, chance.randrange(1, 40)))

        verified = verify_audit_log(tmp_path, KEY)
        assert verified.ok, verified.first_bad

    AuditJournal(tmp_path, KEY).close()

    entries = [parse_line(line).entry for line in lines_of(tmp_path)]
    kept = {entry for entry in entries if b'"thread"' in entry}
    assert {b'{"n":%d,"thread":%d}' % (n, thread) for thread, n in acknowledged} <= kept
    assert len(acknowledged) >= KILLS
    assert verify_audit_log(tmp_path, KEY).torn_bytes == 0


def torn_between(folder: Path, whole: bytes, cut: int) -> None:
    """Put the log in the state of a crash in the middle of the last write."""
    (path,) = folder.glob("*.jsonl")
    path.write_bytes(whole[:cut])


def test_a_crash_anywhere_in_a_write_is_repaired(tmp_path):
    def today() -> datetime:
        return DAY

    with AuditJournal(tmp_path, KEY, now=today) as journal:
        journal.append({"n": 1})
    head = (tmp_path / "head.json").read_bytes()
    (path,) = tmp_path.glob("*.jsonl")
    safe = path.stat().st_size
    with AuditJournal(tmp_path, KEY, now=today) as journal:
        journal.append({"n": 2})
        journal.append({"n": 3})
    whole = path.read_bytes()

    ends = [at for at, byte in enumerate(whole, start=1) if byte == ord("\n") and at >= safe]
    cuts = {*range(safe, len(whole), 23), *(at + near for at in ends for near in (-1, 0, 1))}
    for cut in sorted(cut for cut in cuts if safe <= cut <= len(whole)):
        (tmp_path / "head.json").write_bytes(head)
        torn_between(tmp_path, whole, cut)
        assert verify_audit_log(tmp_path, KEY).ok

        with AuditJournal(tmp_path, KEY, now=today) as journal:
            journal.append({"n": 4})

        verified = verify_audit_log(tmp_path, KEY)
        assert verified.ok, verified.first_bad
        entries = [parse_line(line).entry for line in lines_of(tmp_path)]
        assert entries[0] == b'{"n":1}'
        assert entries[-1] == b'{"n":4}'
