"""The files of an audit log: opened for one writer, recovered after a crash, rotated.

One file a day, or sooner where it grows large; the chain runs on across them. The caller is the
one thread that writes.
"""

import os
import re
import stat
from collections.abc import Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Final

from epochly.errors import AuditError
from epochly.inference.privacy.audit.chain import GENESIS, Link, RecordError, parse_line
from epochly.inference.privacy.audit.head import Head, HeadError, read_head, write_head

MAX_FILE_BYTES: Final = 64 << 20
LOCK_NAME: Final = "lock"

_NAME = re.compile(r"(\d{8})-\d{4}-\d{2}-\d{2}\.jsonl")


def log_files(folder: Path) -> list[Path]:
    """Return the files of a log in the order of the chain."""
    return sorted(path for path in folder.iterdir() if _NAME.fullmatch(path.name))


class AuditFiles:
    """The writing end of a log. Not for use by several threads.

    Args:
        folder: made if need be, and closed to others (mode 0700; files 0600).
        key: the 32 bytes that chain and head are keyed with, or None.
        max_file_bytes: size from which on the next group of records goes to a new file.

    Raises:
        AuditError: another process writes the log, it was cut short or damaged since it was last
            written, it has another key, or the disk refuses.
    """

    def __init__(
        self, folder: Path, key: bytes | None, *, max_file_bytes: int = MAX_FILE_BYTES
    ) -> None:
        self._folder = folder
        self._key = key
        self._max_file_bytes = max_file_bytes
        self._file: int | None = None
        self._lock: int | None = None
        self.discarded_bytes = 0
        """Bytes of records that a crash had left unfinished and that were cut off on opening."""
        try:
            self._lock = _locked(folder)
            self.head = self._recovered()
        except (OSError, HeadError) as err:
            self.close()
            raise AuditError(f"the audit log {folder} cannot be opened: {err}") from err
        except AuditError:
            self.close()
            raise

    def commit(self, entries: Sequence[bytes], now: datetime) -> None:
        """Append entries and return when they and the head are on the disk.

        All or nothing: after an error, none of them counts as written and the same call can be
        made again.

        Args:
            entries: the canonical JSON of each.
            now: decides the day of a new file.

        Raises:
            OSError: the disk refused.
        """
        file, name, offset = self._writable(now.astimezone(UTC).date())
        link = Link(self.head.sequence, b"", GENESIS, bytes.fromhex(self.head.digest))
        lines = []
        for entry in entries:
            link = Link.after(link.sequence, link.digest, entry, self._key)
            lines.append(link.line())
        data = b"".join(lines)
        os.ftruncate(file, offset)  # what an earlier, failed call left
        written = 0
        while written < len(data):
            written += os.pwrite(file, data[written:], offset + written)
        _sync(file)
        if not offset:
            _sync_folder(self._folder)  # the file is new
        head = Head(
            link.sequence, link.digest.hex(), name, offset + len(data), self._key is not None
        )
        write_head(self._folder, head, self._key)
        self.head = head

    def close(self) -> None:
        """Close the files and let another process write the log. Closing twice is harmless."""
        if self._lock is not None:
            _unlock(self._lock)
        for descriptor in (self._file, self._lock):
            if descriptor is not None:
                os.close(descriptor)
        self._file = self._lock = None

    def _writable(self, day: date) -> tuple[int, str, int]:
        """The file to append to, its name and its length; a new one if the day or size ask."""
        head = self.head
        is_full = head.offset >= self._max_file_bytes
        is_old = not head.file.endswith(f"{day}.jsonl")
        if self._file is None or (head.offset and (is_full or is_old)):
            number = int(head.file[:8]) + 1 if head.file else 1
            name = f"{number:08}-{day}.jsonl"
            if self._file is not None:
                os.ftruncate(self._file, head.offset)  # a failed call may have left something
                _sync(self._file)
            opened = _open_private(self._folder / name, os.O_RDWR | os.O_CREAT)
            if self._file is not None:
                os.close(self._file)
            self._file = opened
            self.head = Head(head.sequence, head.digest, name, 0, head.keyed)
        return self._file, self.head.file, self.head.offset

    def _recovered(self) -> Head:
        """The head brought up to what is really in the files."""
        head = read_head(self._folder, self._key)
        files = log_files(self._folder)
        if head is None:
            if files:
                raise AuditError(
                    f"the audit log {self._folder} has records but no head, so its end cannot be "
                    "proved; keep the folder as it is for an inquiry and log to another one"
                )
            head = Head(keyed=self._key is not None)
            write_head(self._folder, head, self._key)
            _sync_folder(self._folder)
        self._check_end(head)
        for path in files:
            if path.name >= head.file:
                head = self._extended(head, path)
        write_head(self._folder, head, self._key)
        return head

    def _check_end(self, head: Head) -> None:
        """Return if the record that the head names ends where the head says."""
        if not head.offset:
            return
        path = self._folder / head.file
        data = path.read_bytes()[: head.offset] if path.exists() else b""
        try:
            link = parse_line(data[data.rfind(b"\n", 0, -1) + 1 :])
        except RecordError:
            link = None
        if link is None or len(data) != head.offset or link.digest.hex() != head.digest:
            raise AuditError(
                f"the audit log {self._folder} was cut short or changed: record {head.sequence} is "
                f"not at the end of {head.file} as its head says; keep the folder as it is for an "
                "inquiry and log to another one"
            )

    def _extended(self, head: Head, path: Path) -> Head:
        """Take over the whole records behind the head, and cut off what a crash left of others."""
        start = head.offset if path.name == head.file else 0
        sequence, digest, end = head.sequence, bytes.fromhex(head.digest), start
        data = path.read_bytes()
        for line in data[start:].splitlines(keepends=True):
            try:
                link = parse_line(line)
                link.check_follows(sequence, digest, self._key)
            except RecordError:
                break
            sequence, digest, end = link.sequence, link.digest, end + len(line)
        self.discarded_bytes += len(data) - end
        if not end:
            path.unlink()
            return head
        file = _open_private(path, os.O_RDWR)
        if self._file is not None:
            os.close(self._file)
        self._file = file
        if end < len(data):
            os.ftruncate(file, end)
            _sync(file)
        return Head(sequence, digest.hex(), path.name, end, head.keyed)


def _locked(folder: Path) -> int:
    try:
        import fcntl
    except ModuleNotFoundError as err:
        raise AuditError(
            f"the audit log {folder} cannot be kept: this system has no POSIX file locks, by which "
            "one process at a time writes it"
        ) from err
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if stat.S_IMODE(folder.stat().st_mode) != 0o700:
        folder.chmod(0o700)
    descriptor = _open_private(folder / LOCK_NAME, os.O_RDWR | os.O_CREAT)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as err:
        os.close(descriptor)
        raise AuditError(
            f"another process writes the audit log {folder}; give each process a folder of its own"
        ) from err
    return descriptor


def _unlock(descriptor: int) -> None:
    """Give the lock up: to close is not enough while a process that is being started has a copy."""
    import fcntl

    fcntl.flock(descriptor, fcntl.LOCK_UN)


def _open_private(path: Path, flags: int) -> int:
    descriptor = os.open(path, flags | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    os.fchmod(descriptor, 0o600)
    return descriptor


def _sync(descriptor: int) -> None:
    getattr(os, "fdatasync", os.fsync)(descriptor)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
