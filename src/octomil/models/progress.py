"""How a transfer gets on, for the person who waits: bars on a terminal, lines in a log."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
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


@dataclass(slots=True)
class _Told:
    """What was told of a transfer last: when, since it began, and how far it was."""

    at_s: float
    percent: int = 0
    is_told: bool = False


class PlainProgress:
    """Lines for logs: one per ten percent and three seconds at most, one per half minute at least.

    The last of a transfer of which something was told says that it is over.

    Args:
        stream: where the lines go.
        clock: monotonic seconds.
    """

    def __init__(self, stream: TextIO, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream = stream
        self._clock = clock
        self._under_way: dict[str, _Told] = {}

    def advance(self, name: str, done_bytes: int, total_bytes: int) -> None:
        """Print a line if there is enough news."""
        percent = 100 * done_bytes // total_bytes if total_bytes else 0
        now_s = self._clock()
        told = self._under_way.setdefault(name, _Told(now_s))
        quiet_s = now_s - told.at_s
        if percent < told.percent:  # it began anew
            told.percent = 0
        has_news = percent - told.percent >= _STEP_PERCENT and quiet_s >= _QUIET_S
        is_over = bool(total_bytes) and done_bytes >= total_bytes
        if has_news or quiet_s >= _ALIVE_S or (is_over and told.is_told):
            self._under_way[name] = _Told(now_s, percent, is_told=True)
            of = f" of {format_size(total_bytes)} ({percent} %)" if total_bytes else ""
            self.note(f"{name}: {format_size(done_bytes)}{of}")
        if is_over:
            self._under_way.pop(name, None)

    def note(self, message: str) -> None:
        """Print `message`."""
        self._stream.write(message + "\n")
        self._stream.flush()
