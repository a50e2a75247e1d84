"""Storing a rollout's transitions: people and the orchestrator do it in the same way."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from octomil.control.ports import Transaction
from octomil.control.records import Act, Rollout
from octomil.control.services.blocks import rolled_out_again, ruled_as
from octomil.errors import ConflictError
from octomil.rollouts import commands
from octomil.rollouts.blocks import Ruling
from octomil.rollouts.states import Transition


def take(tx: Transaction, rollout: Rollout, transition: Transition) -> Rollout | None:
    """Store a transition with all that follows from it; None if another one came before it.

    A rollback for the version's health blocks the version, and rolls back whatever else offers its
    files: an earlier rollout to a part of the devices would go on. The acts are in the audit.

    Raises:
        ConflictError: somebody ruled on the version, or changed another rollout of it, at the same
            moment; nothing is stored.
    """
    if not tx.rollouts.take(rollout.id, transition):
        return None
    withdrawn: Sequence[tuple[Rollout, Transition]] = ()
    if transition.blocks:
        versions = tx.versions.get_all([rollout.version_id])
        if not tx.rulings.add(_block(ruled_as(rollout, versions), transition)):
            raise ConflictError("the version was ruled on at the same moment; look again")
        withdrawn = _withdrawn(tx, rollout, transition)
    for each, done in ((rollout, transition), *withdrawn):
        changed = {"percentage": done.after.percentage, "reason": done.reason}
        note(tx, done.actor, done.action, each, done.at, **changed)
    return replace(rollout, progress=transition.after)


def note(
    tx: Transaction, actor: str, operation: str, rollout: Rollout, at: datetime, **more: object
) -> None:
    """Note an act on a rollout in the audit; the last thing that a transaction does."""
    details = {"model_id": rollout.model_id, "version": rollout.number, **more}
    act = Act(actor=actor, operation=f"rollout.{operation}", target=rollout.id, details=details)
    tx.audit.append(act, at)


def _withdrawn(
    tx: Transaction, rollout: Rollout, blocked: Transition
) -> Sequence[tuple[Rollout, Transition]]:
    """Roll back the other rollouts that offer the files of a version that was blocked."""
    done = []
    for each in rolled_out_again(tx, rollout):
        transition = commands.roll_back(
            each.progress, now=blocked.at, actor=blocked.actor, reason=blocked.reason
        )
        if transition is None or not tx.rollouts.take(each.id, transition):
            raise ConflictError("another rollout of the version was changed; look again")
        done.append((each, transition))
    return done


def _block(known_by: str, transition: Transition) -> Ruling:
    return Ruling(
        digest=known_by,
        is_block=True,
        at=transition.at,
        actor=transition.actor,
        reason=transition.reason,
    )
