"""Reports that wait on disk until they were sent: appended, numbered, and never counted twice.

One file, a line for each report behind a line that says what the file is. A report is appended and
waited for by one `fsync`; a line that a crash has torn is not there. What was sent goes when the
file is written anew, beside its place and by one rename: until then it may be sent again after a
crash, under the same number, by which its receiver tells.
"""

import json
import os
from collections import deque
from collections.abc import Callable, Sequence
from io import FileIO
from pathlib import Path
from typing import Any, NamedTuple
from uuid import uuid4
from zlib import crc32

from octomil.models.partial import space_errors, sync_folder

MAX_BYTES = 8 * 1024 * 1024
_KEPT_SHARE = 0.75
_CHECKSUM_CHARS = 8


class Spooled(NamedTuple):
    """A report that waits; `line` is what it takes in the file."""

    number: int
    line: bytes

    @property
    def content(self) -> Any:
        """What was appended, as JSON values."""
        return _read(self.line)["content"]


class ReportSpool:
    """Keeps reports in order; used by one thread.

    Args:
        path: of the file; its folder is there.
        max_bytes: what the file may take. The oldest reports go where a new one has no room.
        name: makes the name of a new spool.

    Attributes:
        name: of this spool: who has numbers of another has nothing to compare them with.
        dropped: reports that were lost here: for want of room, or because the file was damaged.

    Raises:
        OSError: the file cannot be read or written.
    """

    def __init__(
        self,
        path: Path,
        *,
        max_bytes: int = MAX_BYTES,
        name: Callable[[], str] = lambda: uuid4().hex,
    ) -> None:
        self._path = path
        self._max_bytes = max_bytes
        self._waiting: deque[Spooled] = deque()
        self.name, self.dropped, self._next = name(), 0, 1
        self._load()
        self._file = self._write_anew()
        sync_folder(path.parent)

    def __len__(self) -> int:
        return len(self._waiting)

    def close(self) -> None:
        """Close the file; what waits stays there, and nothing is written any more."""
        self._file.close()

    def append(self, content: Any) -> None:
        """Keep a report, through a loss of power.

        Raises:
            InsufficientSpaceError: the disk is full; nothing was kept.
            OSError: the file cannot be written; nothing was kept.
        """
        report = Spooled(self._next, _line({"number": self._next, "content": content}))
        if self._size + len(report.line) > self._max_bytes:
            self._make_room(len(report.line))
        try:
            with space_errors(self._path.parent):
                _write_whole(self._file, report.line)
        except OSError:
            self._file.truncate(self._size)
            self._file.seek(self._size)
            raise
        self._size += len(report.line)
        self._next += 1
        self._waiting.append(report)

    def first(self, most: int, most_bytes: int) -> Sequence[Spooled]:
        """Return the oldest reports, so many and so large at most, but one if there is any."""
        found: list[Spooled] = []
        size = 0
        for report in self._waiting:
            size += len(report.line)
            if found and (len(found) == most or size > most_bytes):
                break
            found.append(report)
        return found

    def settle(self, number: int, *, lost: int = 0) -> None:
        """Let the reports up to a number go.

        Args:
            number: of the last.
            lost: how many of these were not taken, and are to be told of as dropped.
        """
        if self._file.closed:  # by now it may be another process's, which sends all that again
            return
        self.dropped += lost
        while self._waiting and self._waiting[0].number <= number:
            self._waiting.popleft()
        if not self._waiting or lost:
            self._replace()

    def _make_room(self, size: int) -> None:
        """Write the file anew without what was sent, and without the oldest if that is needed."""
        excess = sum(len(each.line) for each in self._waiting) + size
        excess -= int(self._max_bytes * _KEPT_SHARE)
        while self._waiting and excess > 0:
            excess -= len(self._waiting.popleft().line)
            self.dropped += 1
        self._replace()

    def _load(self) -> None:
        """Take over what an earlier process left; nothing of a file without its head."""
        try:
            head, *lines = self._path.read_bytes().split(b"\n")[:-1] or [b""]
        except FileNotFoundError:
            return
        try:
            said = _read(head)
        except ValueError:
            self.dropped = len(lines)
            return
        self.name, self.dropped, self._next = said["spool"], said["dropped"], said["next"]
        for line in lines:
            try:
                number = _read(line)["number"]
            except ValueError:
                self.dropped += 1
                continue
            self._waiting.append(Spooled(number, line + b"\n"))
            self._next = number + 1

    def _replace(self) -> None:
        fresh = self._write_anew()
        self._file.close()
        self._file = fresh
        sync_folder(self._path.parent)

    def _write_anew(self) -> FileIO:
        """Write all that waits beside the file's place, and move it there; return it, open."""
        head = {"spool": self.name, "dropped": self.dropped, "next": self._next}
        text = b"".join([_line(head), *(each.line for each in self._waiting)])
        beside = self._path.with_name(self._path.name + ".new")
        # Unbuffered: a full disk then shows at the write, not once more when the file is closed.
        file = FileIO(beside, "w+")
        try:
            with space_errors(self._path.parent):
                _write_whole(file, text)
            beside.replace(self._path)
        except BaseException:
            file.close()
            raise
        self._size = len(text)
        return file


def _write_whole(file: FileIO, data: bytes) -> None:
    """Write at the end of a file, and wait for the disk."""
    rest = memoryview(data)
    while rest:  # an unbuffered write may take less than it was given
        rest = rest[file.write(rest) :]
    os.fsync(file.fileno())


def _line(value: Any) -> bytes:
    text = json.dumps(value, separators=(",", ":")).encode()
    return b"%08x %s\n" % (crc32(text), text)


def _read(line: bytes) -> Any:
    """Return what a line says.

    Raises:
        ValueError: it is torn or damaged.
    """
    checksum, text = line[:_CHECKSUM_CHARS], line[_CHECKSUM_CHARS + 1 :].rstrip(b"\n")
    if checksum != b"%08x" % crc32(text):
        raise ValueError(f"{line[:60]!r} is no whole line of a spool")
    return json.loads(text)
