"""What must be so of a rollout as it is stored, whoever acted on it, and wherever that ended."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from octomil.control.ports import Transaction
from octomil.control.records import Rollout
from octomil.control.services.blocks import ruled_as
from octomil.rollouts.states import CONTROLLER, TRANSITIONS, Action, Progress, Transition

_ALL = 10_000


def wrong_of(tx: Transaction, rollout: Rollout, acts: Iterable[Mapping[str, Any]]) -> list[str]:
    """Look at a rollout, its history, its block and its acts; return what must not be so.

    Args:
        tx: where they are.
        rollout: as it is stored.
        acts: the entries of the audit on it, oldest first.
    """
    history = tx.rollouts.history(rollout.id, limit=_ALL)
    wrong = violations(history)
    if (history[-1].after if history else Progress()) != rollout.progress:
        wrong.append("it does not stand where its history ends")
    noted = [_noted(each) for each in acts if each["operation"] != "rollout.create"]
    if noted != [(each.action, each.actor, each.after.percentage) for each in history]:
        wrong.append(f"the audit has {len(noted)} changes, and its history {len(history)} others")
    known_by = ruled_as(rollout, tx.versions.get_all([rollout.version_id]))
    is_blocked = any(each.is_block for each in tx.rulings.of(known_by))
    if is_blocked != any(each.blocks for each in history):
        wrong.append("it is rolled back without its block, or blocked without")
    return [f"{rollout.id}: {each}" for each in wrong]


def wrong_of_lost(history: Sequence[Transition], digest: str | None) -> list[str]:
    """What must not be in the history of a rollout by its files.

    Args:
        history: oldest first.
        digest: of the file that was lost, if one was.
    """
    failed = [each for each in history if each.action is Action.FAIL]
    if digest is None:
        return ["it failed, and no file of it is lost"] if failed else []
    if any(each.actor != CONTROLLER or digest not in each.reason for each in failed):
        return ["it failed, and its history does not name the file"]
    return []


def violations(history: Sequence[Transition]) -> list[str]:
    """What must never be in a history, however it came about."""
    found = []
    before = Progress()
    for entry in history:
        if entry.before != before:
            found.append(
                f"{entry.action} starts from another progress than the one before it ended"
            )
        if entry.after.revision != entry.before.revision + 1:
            found.append(f"{entry.action} leaves revision {entry.after.revision}")
        if TRANSITIONS[entry.action].get(entry.before.state) is not entry.after.state:
            found.append(f"{entry.action} from {entry.before.state} to {entry.after.state}")
        found += _wrong_alone(entry)
        before = entry.after
    steps = [entry.after.step for entry in history if entry.after.step > entry.before.step]
    if len(steps) != len(set(steps)):
        found.append("a step was taken twice")
    return found


def _wrong_alone(entry: Transition) -> list[str]:
    """What one entry alone must not do."""
    found = []
    before, after = entry.before, entry.after
    if after.step not in {before.step, before.step + 1}:
        found.append(f"{entry.action} takes {after.step - before.step} steps at once")
    is_lowered = entry.action is Action.LOWER
    if after.offered_percentage < before.offered_percentage and not is_lowered:
        found.append(f"{entry.action} takes the version from devices")
    if after.offered_percentage > max(after.percentage, before.offered_percentage):
        found.append(f"{entry.action} offers more than its step's share")
    return found


def _noted(entry: Mapping[str, Any]) -> tuple[str, str, float]:
    operation = str(entry["operation"]).removeprefix("rollout.")
    return operation, entry["actor"], entry["details"]["percentage"]
