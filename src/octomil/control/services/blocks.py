"""Versions that must not be rolled out, and lifting that by hand."""

from octomil.control.ports import Clock, Store, Transaction
from octomil.control.records import Act
from octomil.control.services.callers import Caller
from octomil.control.services.lookup import held_version, require_version
from octomil.errors import ConflictError
from octomil.rollouts.blocks import Ruling, standing_block


class BlockService:
    """What can be done about blocks.

    Args:
        store: where they are.
        clock: tells the time.
    """

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    def of(self, caller: Caller, model_id: str, number: str) -> Ruling | None:
        """Return what blocks a version, None if nothing does.

        Raises:
            NotFoundError: there is no such version.
        """
        with self._store.snapshot(caller.organisation) as tx:
            return _standing(tx, require_version(tx, model_id, number).digest)

    def lift(self, caller: Caller, model_id: str, number: str, reason: str) -> None:
        """Let a version be rolled out again; where nothing blocks it, this changes nothing.

        Raises:
            NotFoundError: there is no such version.
            ConflictError: another ruling came at the same moment.
        """
        now = self._clock()
        with self._store.transaction(caller.organisation) as tx:
            digest = held_version(tx, model_id, number).digest
            if digest is None or _standing(tx, digest) is None:
                return
            lifting = Ruling(
                digest=digest, is_block=False, at=now, actor=caller.actor, reason=reason
            )
            if not tx.rulings.add(lifting):
                raise ConflictError("the version was ruled on at the same moment; look again")
            details = {"model_id": model_id, "version": number, "reason": reason}
            act = Act(
                actor=caller.actor, operation="version.unblock", target=digest, details=details
            )
            tx.audit.append(act, now)


def _standing(tx: Transaction, digest: str | None) -> Ruling | None:
    return None if digest is None else standing_block(digest, tx.rulings.of(digest))
