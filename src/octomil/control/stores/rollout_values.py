"""A rollout's values, as JSON and as columns have them, and back."""

from dataclasses import fields
from typing import Any

import msgspec
from sqlalchemy import RowMapping

from octomil.control.records import Rollout
from octomil.rollouts.plan import Plan
from octomil.rollouts.states import Progress, RolloutState, Transition

PROGRESS = tuple(field.name for field in fields(Progress))
"""Columns, one for each field of the progress."""

_PLAIN = tuple(each.name for each in fields(Rollout) if each.name not in ("plan", "progress"))


def row_of(rollout: Rollout) -> dict[str, Any]:
    """Return a rollout's columns."""
    row = {name: getattr(rollout, name) for name in _PLAIN}
    return row | {"plan": msgspec.to_builtins(rollout.plan)} | progress_row(rollout.progress)


def progress_row(progress: Progress) -> dict[str, Any]:
    """Return the columns of where a rollout stands."""
    row = {name: getattr(progress, name) for name in PROGRESS}
    return row | {"is_open": progress.state.is_open}


def rollout_of(row: RowMapping) -> Rollout:
    """Return the rollout of a row."""
    progress = {name: row[name] for name in PROGRESS}
    progress["state"] = RolloutState(progress["state"])
    return Rollout(
        **{name: row[name] for name in _PLAIN},
        plan=msgspec.convert(row["plan"], Plan),
        progress=Progress(**progress),
    )


def transition_json(transition: Transition) -> Any:
    """Return a transition as JSON has it."""
    return msgspec.to_builtins(transition)


def transition_of(value: Any) -> Transition:
    """Return the transition that was kept as JSON."""
    return msgspec.convert(value, Transition)
