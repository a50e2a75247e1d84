"""Watching a rollout: a bar on a terminal, and a line for everything that happens to it."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from octomil.cli.percentages import shown
from octomil.errors import OctomilError
from octomil.rollouts.states import CONTROLLER, Action

if TYPE_CHECKING:
    from octomil.http.records import Record
    from octomil.sdk.model_registry import ModelRegistry

_EVERY_S = 1.0
_PAGE = 100
_OVER = frozenset({"completed", "rolled_back", "failed"})


class RolledBackError(OctomilError):
    """A rollout that was watched did not end well."""


class NoVerdictError(OctomilError):
    """A rollout that was watched waits for somebody to look: its gates came to no verdict."""


def follow(registry: "ModelRegistry", rollout: "Record", *, every_s: float = _EVERY_S) -> None:
    """Show what happens to a rollout until it is over.

    One that a person paused is watched on: who paused it will resume it.

    Raises:
        RolledBackError: it was rolled back, or failed.
        NoVerdictError: it paused by itself.
        OctomilClientError: the control plane does not answer any more.
    """
    seen, last = 0, None
    with _bar(rollout.target_percentage) as advance:
        while True:
            present = registry.rollouts.get(rollout.model_id, rollout.id)
            for last in history_of(registry, rollout, seen):
                click.echo(line_of(last))
                seen += 1
            advance(present)
            if present.status in _OVER:
                break
            if last is not None and _is_left_to_people(last):
                raise NoVerdictError(
                    f"the rollout paused by itself: {last.reason}; look at "
                    "`octomil rollouts devices`, then resume it or roll it back"
                )
            time.sleep(every_s)
    if present.status != "completed":
        why = f": {last.reason}" if last is not None and last.reason else ""
        raise RolledBackError(f"the rollout is {present.status.replace('_', ' ')}{why}")


def _is_left_to_people(entry: "Record") -> bool:
    return bool(entry.action == Action.PAUSE and entry.actor == CONTROLLER)


def history_of(registry: "ModelRegistry", rollout: "Record", offset: int = 0) -> "Iterator[Record]":
    """Yield what happened to a rollout, oldest first, from the entry `offset` on."""
    while page := registry.rollouts.get_status_history(
        rollout.model_id, rollout.id, limit=_PAGE, offset=offset
    ):
        yield from page
        offset += len(page)


def line_of(entry: "Record") -> str:
    """Return what happened, on one line."""
    moment = entry.at.partition("T")[2][:8]
    share = f"{shown(entry.offered_percentage)} of {shown(entry.percentage)}"
    why = f": {entry.reason}" if entry.reason else ""
    what = entry.action.replace("_", " ")
    return f"{moment} {what}, {entry.status.replace('_', ' ')}, offered to {share}{why}"


@contextmanager
def _bar(target: float) -> "Iterator[Callable[[Record], None]]":
    """Show on a terminal how far it is; elsewhere the lines are enough."""
    if not sys.stdout.isatty():
        yield lambda _present: None
        return
    from rich.progress import BarColumn, Progress, TextColumn

    columns = TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[devices]}")
    with Progress(*columns, transient=True) as progress:
        task = progress.add_task("", total=target, devices="")

        def advance(present: "Record") -> None:
            progress.update(
                task,
                completed=present.offered_percentage,
                description=f"{present.status.replace('_', ' ')} "
                f"{shown(present.offered_percentage)}",
                devices=f"{present.active_devices} run it, {present.failed_devices} cannot",
            )

        yield advance
