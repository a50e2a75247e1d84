"""`octomil pull`: fetch models by name, verified, with a progress bar."""

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TextIO

import click

from octomil.config import Settings
from octomil.models.local import LocalModel
from octomil.models.partial import format_size
from octomil.models.pull import ModelStore
from octomil.models.references import ModelRef, parse_reference, split_names
from octomil.models.sources.base import ProgressSink

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

_STEP_PERCENT = 10
_QUIET_S, _ALIVE_S = 3.0, 30.0


@click.command("pull")
@click.argument("names", nargs=-1, required=True, metavar="NAME[,NAME...]...")
@click.option("--force", is_flag=True, help="Fetch again, and accept that the files have changed.")
@click.option("--verify", is_flag=True, help="Hash what is here already and compare.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object per model.")
def command(names: tuple[str, ...], *, force: bool, verify: bool, as_json: bool) -> None:
    """Download models, verify them and keep them in the cache.

    NAME is a name from `octomil models` or hf:OWNER/REPO/FILE.gguf. A download that was cut off
    goes on where it stopped. Give several names separated by commas or spaces.
    """
    settings = Settings.from_env()
    store = ModelStore(settings)
    # Every name is read before the first byte is fetched: a typo shows now, not a gigabyte later.
    refs = [parse_reference(name, settings.model_aliases) for name in split_names(names)]
    for ref in refs:
        if not ref.has_files:
            click.echo(f"{ref} runs without files of ours: nothing to pull", err=True)
            continue
        model, was_here = _obtain(store, ref, force=force)
        if was_here and verify:
            model = store.verify(ref)
        _print(model, was_here=was_here, verified=verify or not was_here, as_json=as_json)


def _obtain(store: ModelStore, ref: ModelRef, *, force: bool) -> tuple[LocalModel, bool]:
    if not force and (found := store.find(ref)):
        return found, True
    try:
        with open_progress() as progress:
            return store.pull(ref, progress, force=force), False
    except KeyboardInterrupt:
        click.echo(f"stopped; `octomil pull {ref}` goes on from here", err=True)
        raise


def _print(model: LocalModel, *, was_here: bool, verified: bool, as_json: bool) -> None:
    if as_json:
        facts = {
            "name": model.name,
            "reference": model.reference,
            "path": str(model.path),
            "size_bytes": model.size_bytes,
            "parameters": model.parameters,
            "kind": model.kind,
            "license": model.license,
            "sha256": dict(model.sha256),
            "already_here": was_here,
        }
        click.echo(json.dumps(facts))
        return
    state = "already here" if was_here else "pulled"
    state += " and verified" if verified and model.sha256 else ""
    click.echo(f"{model.name}: {state}, {format_size(model.size_bytes)} at {model.path}")


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
        print(message, file=self._stream, flush=True)
