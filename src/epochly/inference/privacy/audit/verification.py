"""Read an audit log from its first record to its head, and name the first that is not right."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from epochly.inference.privacy.audit.chain import GENESIS, RecordError, parse_line
from epochly.inference.privacy.audit.files import log_files
from epochly.inference.privacy.audit.head import HEAD_NAME, Head, HeadError, read_head


@dataclass(frozen=True, slots=True)
class BadRecord:
    """The first record that is not as it was written.

    Attributes:
        sequence: the number that the record there should have.
        file: the name of the file, or of the head's.
        line: its line, from 1; 0 where a record is missing or the head is at fault.
        reason: what is wrong with it, to follow "record N".
    """

    sequence: int
    file: str
    line: int
    reason: str

    def __str__(self) -> str:
        return f"record {self.sequence} ({self.file}:{self.line}) {self.reason}"


@dataclass(frozen=True, slots=True)
class AuditVerification:
    """What the verifier found.

    Attributes:
        records: how many records are right, counted from the first.
        unacknowledged: how many of them lie behind the head, where only a crash leaves some.
        torn_bytes: length of an unfinished line at the very end, which a crash leaves too.
        first_bad: the first record that is not right; None where all are.
    """

    records: int
    unacknowledged: int
    torn_bytes: int
    first_bad: BadRecord | None

    @property
    def ok(self) -> bool:
        """Whether every record up to the head is there, whole and in order."""
        return self.first_bad is None


def verify_audit_log(
    folder: str | Path, key: bytes | None = None, *, expected: Head | None = None
) -> AuditVerification:
    """Check a whole log; it may be in use meanwhile.

    What this proves against whom is told in :mod:`epochly.inference.privacy.audit`.

    Args:
        folder: the log's folder; `~` is the home folder.
        key: the 32 bytes that the log was written with, or None.
        expected: a head of this log that was kept elsewhere; the log must reach and contain it.

    Raises:
        OSError: the files cannot be read.
    """
    return _Walk(Path(folder).expanduser(), key, expected).result()


class _Walk:
    """One pass over the files: what the chain has reached, and the first fault."""

    def __init__(self, folder: Path, key: bytes | None, expected: Head | None) -> None:
        self._folder = folder
        self._key = key
        self._sequence = 0
        self._digest = GENESIS
        self._torn_bytes = 0
        self._head_fault: str | None = None
        self._anchors = [] if expected is None else [expected]
        self._head_sequence = 0
        try:
            # Before the records: a writer that is at work only ever appends behind it.
            head = read_head(folder, key)
        except HeadError as err:
            self._head_fault = str(err)
            return
        if head is not None:
            self._anchors.append(head)
            self._head_sequence = head.sequence
        elif log_files(folder):
            self._head_fault = "cannot be proved to be the end: the head is missing"

    def result(self) -> AuditVerification:
        bad = self._first_bad_record() or self._fault_of_the_end()
        return AuditVerification(
            records=self._sequence,
            unacknowledged=max(0, self._sequence - self._head_sequence),
            torn_bytes=self._torn_bytes,
            first_bad=bad,
        )

    def _first_bad_record(self) -> BadRecord | None:
        files = log_files(self._folder)
        for path in files:
            for number, line in _lines(path):
                try:
                    self._take(line)
                except RecordError as err:
                    is_end = path == files[-1] and not line.endswith(b"\n")
                    if is_end and self._sequence >= self._head_sequence:
                        self._torn_bytes = len(line)
                        return None
                    return BadRecord(self._sequence + 1, path.name, number, str(err))
        return None

    def _take(self, line: bytes) -> None:
        link = parse_line(line)
        link.check_follows(self._sequence, self._digest, self._key)
        for anchor in self._anchors:
            if link.sequence == anchor.sequence and link.digest.hex() != anchor.digest:
                raise RecordError("is not the record that the head was made for")
        self._sequence, self._digest = link.sequence, link.digest

    def _fault_of_the_end(self) -> BadRecord | None:
        reason = self._head_fault
        reach = max((anchor.sequence for anchor in self._anchors), default=0)
        if reason is None and self._sequence < reach:
            reason = f"is missing: the log was cut short, its head says {reach} records"
        if reason is None:
            return None
        return BadRecord(self._sequence + 1, HEAD_NAME, 0, reason)


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    with path.open("rb") as file:
        yield from enumerate(file, start=1)
