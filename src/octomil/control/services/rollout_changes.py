"""Storing a rollout's transitions: people and the orchestrator do it in the same way."""

from dataclasses import replace
from datetime import datetime

from octomil.control.ports import Transaction
from octomil.control.records import Act, Rollout
from octomil.errors import ConflictError
from octomil.rollouts.blocks import Ruling
from octomil.rollouts.states import Transition


def take(tx: Transaction, rollout: Rollout, transition: Transition) -> Rollout | None:
    """Store a transition with all that follows from it; None if another one came before it.

    A rollback for the version's health blocks the version. The act is in the audit.

    Raises:
        ConflictError: somebody ruled on the version at the same moment; nothing is stored.
    """
    if not tx.rollouts.take(rollout.id, transition):
        return None
    if transition.blocks and not tx.rulings.add(_block(rollout, transition)):
        raise ConflictError("the version was ruled on at the same moment; look again")
    changed = {"percentage": transition.after.percentage, "reason": transition.reason}
    note(tx, transition.actor, transition.action, rollout, transition.at, **changed)
    return replace(rollout, progress=transition.after)


def note(
    tx: Transaction, actor: str, operation: str, rollout: Rollout, at: datetime, **more: object
) -> None:
    """Note an act on a rollout in the audit; the last thing that a transaction does."""
    details = {"model_id": rollout.model_id, "version": rollout.number, **more}
    act = Act(actor=actor, operation=f"rollout.{operation}", target=rollout.id, details=details)
    tx.audit.append(act, at)


def _block(rollout: Rollout, transition: Transition) -> Ruling:
    return Ruling(
        digest=rollout.digest,
        is_block=True,
        at=transition.at,
        actor=transition.actor,
        reason=transition.reason,
    )
