"""Versions that must not be rolled out, and lifting that by hand."""

from collections.abc import Mapping, Sequence

from octomil.control.ports import Clock, Store, Transaction
from octomil.control.records import Act, Rollout, Version
from octomil.control.services.callers import Caller
from octomil.control.services.lookup import held_version, require_version
from octomil.errors import ConflictError
from octomil.rollouts.blocks import Ruling, files_digest, standing_block


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
            return _standing(tx, ruled_by(require_version(tx, model_id, number)))

    def lift(self, caller: Caller, model_id: str, number: str, reason: str) -> None:
        """Let a version be rolled out again; where nothing blocks it, this changes nothing.

        Raises:
            NotFoundError: there is no such version.
            ConflictError: another ruling came at the same moment.
        """
        now = self._clock()
        with self._store.transaction(caller.organisation) as tx:
            version = held_version(tx, model_id, number)
            known_by = ruled_by(version)
            if _standing(tx, known_by) is None:
                return
            lifting = Ruling(
                digest=known_by, is_block=False, at=now, actor=caller.actor, reason=reason
            )
            if not tx.rulings.add(lifting):
                raise ConflictError("the version was ruled on at the same moment; look again")
            details = {"model_id": model_id, "version": number, "reason": reason}
            target = version.digest or version.id
            act = Act(
                actor=caller.actor, operation="version.unblock", target=target, details=details
            )
            tx.audit.append(act, now)


def ruled_by(version: Version) -> str:
    """Return what a version is known by where it is ruled on: the same for the same files."""
    if not version.files:
        return version.digest or version.id
    return files_digest(version.model_id, {each.format: each.digest for each in version.files})


def rolled_out_again(tx: Transaction, rollout: Rollout) -> Sequence[Rollout]:
    """Return the other rollouts that tell devices to run the files of one, or may come to that."""
    found = tx.rollouts.standing(rollout.model_id)
    versions = tx.versions.get_all([rollout.version_id, *(each.version_id for each in found)])
    files = ruled_as(rollout, versions)
    same = (each for each in found if ruled_as(each, versions) == files)
    return [each for each in same if each.id != rollout.id]


def ruled_as(rollout: Rollout, versions: Mapping[str, Version]) -> str:
    """Return what a rollout's version is known by; of one that was removed, its digest."""
    version = versions.get(rollout.version_id)
    return rollout.digest if version is None else ruled_by(version)


def _standing(tx: Transaction, known_by: str) -> Ruling | None:
    return standing_block(known_by, tx.rulings.of(known_by))
