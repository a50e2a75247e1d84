"""The log: a line for each request, written by a thread of its own.

Whoever reads a pipe may stop reading it. Then the pipe fills, and the next write waits for as long
as it takes; on the event loop it would hold up every request.
"""

import logging
import os
from collections import deque
from collections.abc import Generator
from contextlib import contextmanager
from io import UnsupportedOperation
from threading import Event, Lock, Thread
from types import TracebackType
from typing import Self, TextIO

MAX_LINES = 10_000
"""So many lines may wait to be written."""

_DELAY_S = 0.05  # lines that come together are written together: one each would cost tenfold
_CLOSE_TIMEOUT_S = 1.0
_NOTICE = "[serve] lines of this log that could not be written and are lost: {}\n"


class RequestLog:
    """Takes lines without ever waiting, and loses them, counted, where nobody reads them.

    Safe to use from threads; a `logging.StreamHandler` may have it for its stream.

    Args:
        out: where lines go.
        max_lines: how many may wait; more are lost.
        close_timeout_s: seconds that `close` waits for a reader.
    """

    def __init__(
        self,
        out: TextIO,
        *,
        max_lines: int = MAX_LINES,
        close_timeout_s: float = _CLOSE_TIMEOUT_S,
    ) -> None:
        self._out = out
        self._descriptor = _descriptor(out)
        self._max_lines = max_lines
        self._close_timeout_s = close_timeout_s
        self._lines: deque[str] = deque()
        self._lost = 0
        self._lost_told = 0
        self._lock = Lock()
        self._something = Event()
        self._closing = Event()
        # A daemon, so that a reader who stalls cannot keep the process from ending.
        self._thread = Thread(target=self._run, name="octomil-log", daemon=True)
        self._thread.start()

    @property
    def lost(self) -> int:
        """How many lines could not be written so far."""
        return self._lost

    def write(self, line: str) -> None:
        """Take a line, which ends in a line break; it is on its way within 50 ms."""
        if len(self._lines) >= self._max_lines:
            self._lose(1)
            return
        self._lines.append(line)
        if not self._something.is_set():
            self._something.set()

    def close(self) -> bool:
        """Take no more lines, and tell whether all those that wait were written in time."""
        self._max_lines = 0
        self._closing.set()
        self._something.set()
        self._thread.join(self._close_timeout_s)
        return not self._thread.is_alive()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _lose(self, lines: int) -> None:
        with self._lock:
            self._lost += lines

    def _run(self) -> None:
        is_last = False
        while not is_last:
            self._something.wait()
            is_last = self._closing.wait(_DELAY_S)
            self._something.clear()
            self._write_waiting()

    def _write_waiting(self) -> None:
        lines = [self._lines.popleft() for _ in range(len(self._lines))]
        lost = self._lost
        notice = ""
        if lost > self._lost_told:
            notice = _NOTICE.format(lost - self._lost_told)
        try:
            self._put("".join(lines) + notice)
        except (OSError, ValueError):  # a full disk, a reader that is gone, a closed file
            self._lose(len(lines))
        else:
            self._lost_told = lost

    def _put(self, text: str) -> None:
        """Write a text, past the lock of `out`: the interpreter wants that one when it ends."""
        if self._descriptor is None:
            self._out.write(text)
            self._out.flush()
            return
        rest = memoryview(text.encode(self._out.encoding, "backslashreplace"))
        while rest:
            rest = rest[os.write(self._descriptor, rest) :]


@contextmanager
def warnings_to(log: RequestLog) -> Generator[None]:
    """Let what is logged by the way, such as a worker that died, go to `log` as well."""
    handler = logging.StreamHandler(log)
    handler.setFormatter(logging.Formatter("[%(name)s] %(message)s"))
    root = logging.getLogger()
    root.addHandler(handler)
    try:
        yield
    finally:
        root.removeHandler(handler)


def _descriptor(out: TextIO) -> int | None:
    try:
        return out.fileno()
    except UnsupportedOperation:
        return None
