"""How a transfer gets on, for the person who waits: bars on a terminal, lines in a log."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TextIO

from octomil.models.partial import format_size
from octomil.models.sources.base import ProgressSink

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

_STEP_PERCENT = 10
_QUIET_S, _ALIVE_S = 3.0, 30.0


@contextmanager
def open_progress() -> Iterator[ProgressSink]:
    """Progress on stderr: bars on a terminal, a line now and then elsewhere."""
    if not sys.stderr.isatty():
        yield PlainProgress(sys.stderr)
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn())
    with Progress(
        *columns, TransferSpeedColumn(), TimeRemainingColumn(), console=Console(stderr=True)
    ) as progress:
        yield BarProgress(progress)


class BarProgress:
    """One bar per model."""

    def __init__(self, progress: "Progress") -> None:
        self._progress = progress
        self._tasks: dict[str, TaskID] = {}

    def advance(self, name: str, done_bytes: int, total_bytes: int) -> None:
        """Move the bar of `name`."""
        if name not in self._tasks:
            # What an earlier try left must not count as speed.
            self._tasks[name] = self._progress.add_task(name, completed=done_bytes)
        self._progress.update(self._tasks[name], completed=done_bytes, total=total_bytes or None)

    def note(self, message: str) -> None:
        """Print a line above the bars."""
        self._progress.console.print(message, markup=False, highlight=False)


class PlainProgress:
    """Lines for logs: one per ten percent and three seconds at most, one per half minute at least.

    Args:
        stream: where the lines go.
        clock: monotonic seconds.
    """

    def __init__(self, stream: TextIO, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream = stream
        self._clock = clock
        self._said_at = clock()
        self._said_percent = 0

    def advance(self, name: str, done_bytes: int, total_bytes: int) -> None:
        """Print a line if there is enough news."""
        percent = 100 * done_bytes // total_bytes if total_bytes else 0
        quiet_s = self._clock() - self._said_at
        if percent < self._said_percent:  # the next model began
            self._said_percent = 0
        has_news = percent - self._said_percent >= _STEP_PERCENT and quiet_s >= _QUIET_S
        if has_news or quiet_s >= _ALIVE_S:
            self._said_at, self._said_percent = self._clock(), percent
            of = f" of {format_size(total_bytes)} ({percent} %)" if total_bytes else ""
            self.note(f"{name}: {format_size(done_bytes)}{of}")

    def note(self, message: str) -> None:
        """Print `message`."""
        self._stream.write(message + "\n")
        self._stream.flush()
