"""Which versions come from which."""

from collections.abc import Sequence

from octomil.control.ports import Clock, Store, Transaction
from octomil.control.records import Act, Version
from octomil.control.scopes import MODELS_READ, MODELS_WRITE
from octomil.control.services.callers import Caller
from octomil.control.services.lookup import held_version, require_version
from octomil.errors import ConflictError
from octomil.registry.lineage import cycle_closed_by, reachable
from octomil.registry.manifest import DIGEST_PREFIX
from octomil.wire.versions import Relative, VersionReference


class LineageService:
    """What can be asked and said about where versions come from.

    Args:
        store: where that is.
        clock: tells the time.
    """

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    def set_parents(
        self, caller: Caller, model_id: str, number: str, parents: Sequence[VersionReference]
    ) -> Version:
        """Say what a version comes from, in place of what was said before.

        Raises:
            ForbiddenError: the caller lacks the scope.
            NotFoundError: one of the versions is not there.
            ConflictError: the version is published, or would come from itself.
        """
        caller.require(MODELS_WRITE)
        with self._store.transaction(caller.organisation) as tx:
            tx.lineage.hold()
            version = held_version(tx, model_id, number)
            if version.state.is_frozen:
                raise ConflictError(
                    f"the version {number} is {version.state.value}, and its lineage never changes"
                )
            put_parents(tx, version, parents)
            named = [f"{parent.model_id} {parent.version}" for parent in parents]
            act = Act(
                actor=caller.actor,
                operation="version.set_parents",
                target=version.id,
                details={"model": model_id, "version": number, "parents": named},
            )
            tx.audit.append(act, self._clock())
        return version

    def ancestors(
        self, caller: Caller, model_id: str, number: str, *, limit: int
    ) -> Sequence[Relative]:
        """Return what a version comes from, nearest first.

        Raises:
            ForbiddenError: the caller lacks the scope.
            NotFoundError: there is no such version.
        """
        caller.require(MODELS_READ)
        with self._store.snapshot(caller.organisation) as tx:
            version = require_version(tx, model_id, number)
            found = reachable(version.id, tx.lineage.ancestry([version.id]))
            return _relatives(tx, found[:limit])

    def descendants(
        self, caller: Caller, model_id: str, number: str, *, limit: int
    ) -> Sequence[Relative]:
        """Return what comes from a version, nearest first.

        Raises:
            ForbiddenError: the caller lacks the scope.
            NotFoundError: there is no such version.
        """
        caller.require(MODELS_READ)
        with self._store.snapshot(caller.organisation) as tx:
            version = require_version(tx, model_id, number)
            found = reachable(version.id, tx.lineage.progeny([version.id]))
            return _relatives(tx, found[:limit])


def put_parents(tx: Transaction, version: Version, parents: Sequence[VersionReference]) -> None:
    """Say what a version comes from; call `tx.lineage.hold` before.

    Raises:
        NotFoundError: a parent is not there.
        ConflictError: the version would come from itself.
    """
    found = [require_version(tx, parent.model_id, parent.version) for parent in parents]
    ids = list(dict.fromkeys(parent.id for parent in found))
    cycle = cycle_closed_by(version.id, ids, tx.lineage.ancestry(ids))
    if cycle is not None:
        way = tx.versions.get_all(cycle)
        names = " <- ".join(way[each].number if each in way else version.number for each in cycle)
        raise ConflictError(f"the version {version.number} would come from itself: {names}")
    tx.lineage.set_parents(version.id, ids)


def _relatives(tx: Transaction, ids: Sequence[str]) -> Sequence[Relative]:
    versions = tx.versions.get_all(ids)
    models = tx.models.names({version.model_id for version in versions.values()})
    return [
        Relative(
            model_id=version.model_id,
            model=models[version.model_id],
            version=version.number,
            status=version.state.value,
            digest=None if version.digest is None else DIGEST_PREFIX + version.digest,
        )
        for version in (versions[each] for each in ids)
    ]
