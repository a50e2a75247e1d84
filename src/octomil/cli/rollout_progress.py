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
    seen, last, told_of = 0, None, None
    with _bar(rollout.target_percentage) as advance:
        while True:
            present = registry.rollouts.get(rollout.model_id, rollout.id)
            for last in history_of(registry, rollout, seen):
                click.echo(line_of(last))
                seen += 1
            if (waits := standing_of(present)) != told_of:
                told_of = waits
                if waits is not None:
                    click.echo(waiting_line(present))
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
    share = f"{shown(entry.offered_percentage)} of {shown(entry.percentage)}"
    why = f": {entry.reason}" if entry.reason else ""
    what = entry.action.replace("_", " ")
    return f"{_time_of(entry.at)} {what}, {entry.status.replace('_', ' ')}, offered to {share}{why}"


def waiting_line(present: "Record") -> str:
    """Return what a rollout waits for, and what its gates say, on one line."""
    until = f", until {_time_of(present.next_at)}" if present.next_at else ""
    asked = [each for each in present.evidence if not each.is_waived]
    said = "; ".join(f"{each.gate} {each.verdict} ({each.reason})" for each in asked)
    seen_at = f"{_time_of(present.looked_at)} " if present.looked_at else ""
    return f"{seen_at}waits for {present.waits_for}{until}{': ' if said else ''}{said}"


def plan_lines(present: "Record") -> "Iterator[str]":
    """Yield what a rollout's plan is, a line each."""
    pacing = present.pacing
    steps = f"steps of {shown(present.increment_step)} up to {shown(present.target_percentage)}"
    yield f"{steps}, taken by {'itself' if present.automatic else 'hand'}"
    yield (
        f"waves of {shown(pacing.first_percentage)}, each {pacing.growth:g} times as large as the "
        f"one before it, {pacing.interval_s:g} s apart"
    )
    yield (
        f"a step takes {present.dwell_s:g} s at least, a device is healthy after "
        f"{present.health_window_s:g} s, a rollout pauses after {present.patience_s:g} s without a "
        "verdict"
    )


def standing_of(present: "Record") -> tuple[object, ...] | None:
    """Return what makes one wait another than the one before; counts of devices do not."""
    if present.waits_for is None:
        return None
    verdicts = tuple((each.gate, each.verdict, each.is_waived) for each in present.evidence)
    return present.revision, present.waits_for, present.next_at, verdicts


def _time_of(moment: str) -> str:
    """Return the time of day of a moment, in UTC.

    >>> _time_of("2026-01-01T12:30:00+00:00")
    '12:30:00'
    """
    return moment.partition("T")[2][:8]


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
