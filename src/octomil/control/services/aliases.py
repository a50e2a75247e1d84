"""Aliases: names such as `production` that point at versions, and where they pointed when."""

from collections.abc import Sequence
from datetime import datetime

from octomil.control.moments import shown
from octomil.control.ports import Clock, Store, Transaction
from octomil.control.records import Act, Alias
from octomil.control.scopes import MODELS_READ, MODELS_WRITE
from octomil.control.services.callers import Caller
from octomil.control.services.events import announce
from octomil.control.services.lookup import held_model, held_version, require_model
from octomil.errors import BadRequestError, ConflictError, NotFoundError
from octomil.registry.lifecycle import VersionState
from octomil.wire.aliases import AliasMove, AliasView

LATEST = "latest"
"""No alias can be called this: it is what the versions themselves say."""


class AliasService:
    """What can be done with aliases.

    Args:
        store: where they are.
        clock: tells the time.
    """

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    def move(self, caller: Caller, model_id: str, name: str, move: AliasMove) -> Alias:
        """Point a name at a published version; if it does already, nothing happens.

        Raises:
            ForbiddenError: the caller lacks the scope.
            BadRequestError: the name is `latest`.
            NotFoundError: there is no such model or version.
            ConflictError: the version is not published, or the name has another revision than
                expected.
        """
        caller.require(MODELS_WRITE)
        if name == LATEST:
            raise BadRequestError("`latest` is the highest published version, not an alias")
        with self._store.transaction(caller.organisation) as tx:
            held_model(tx, model_id)
            version = held_version(tx, model_id, move.version)
            if version.state is not VersionState.PUBLISHED:
                raise ConflictError(
                    f"the version {version.number} is {version.state.value}; an alias points at a "
                    "published one"
                )
            present = tx.aliases.get(model_id, name)
            _check_expected(present, name, move.expected_revision)
            if present is not None and present.version_id == version.id:
                return present
            return self._step(tx, caller, model_id, name, present, version.id, version.number)

    def remove(self, caller: Caller, model_id: str, name: str) -> Alias:
        """Let a name point nowhere; its history stays.

        Raises:
            ForbiddenError: the caller lacks the scope.
            NotFoundError: there is no such model, or the name points nowhere.
            ConflictError: somebody moved it at the same moment.
        """
        caller.require(MODELS_WRITE)
        with self._store.transaction(caller.organisation) as tx:
            held_model(tx, model_id)
            present = _pointing(tx, model_id, name)
            return self._step(tx, caller, model_id, name, present, None, None)

    def get(self, caller: Caller, model_id: str, name: str, at: datetime | None) -> Alias:
        """Return where a name points, or pointed at a moment.

        Raises:
            ForbiddenError: the caller lacks the scope.
            NotFoundError: there is no such model, or the name points, or pointed, nowhere.
        """
        caller.require(MODELS_READ)
        with self._store.snapshot(caller.organisation) as tx:
            if at is None:
                return _pointing(tx, model_id, name)
            model = require_model(tx, model_id)
            alias = tx.aliases.at(model.id, name, at)
        if alias is None or alias.version_id is None:
            raise NotFoundError(f"the alias {name!r} pointed nowhere at {shown(at)}")
        return alias

    def list(self, caller: Caller, model_id: str) -> Sequence[Alias]:
        """Return where each name of a model points, in their order.

        Raises:
            ForbiddenError: the caller lacks the scope.
            NotFoundError: there is no such model in the caller's organisation.
        """
        caller.require(MODELS_READ)
        with self._store.snapshot(caller.organisation) as tx:
            return tx.aliases.list(require_model(tx, model_id).id)

    def history(
        self, caller: Caller, model_id: str, name: str, *, limit: int, offset: int
    ) -> Sequence[Alias]:
        """Return where a name pointed, newest first; nothing for one that never did.

        Raises:
            ForbiddenError: the caller lacks the scope.
            NotFoundError: there is no such model in the caller's organisation.
        """
        caller.require(MODELS_READ)
        with self._store.snapshot(caller.organisation) as tx:
            model = require_model(tx, model_id)
            return tx.aliases.history(model.id, name, limit=limit, offset=offset)

    def _step(
        self,
        tx: Transaction,
        caller: Caller,
        model_id: str,
        name: str,
        present: Alias | None,
        version_id: str | None,
        number: str | None,
    ) -> Alias:
        now = self._clock()
        alias = Alias(
            model_id=model_id,
            name=name,
            revision=1 if present is None else present.revision + 1,
            version_id=version_id,
            number=number,
            actor=caller.actor,
            # Replicas' clocks differ; a step never lies before the one that it follows.
            moved_at=now if present is None else max(now, present.moved_at),
        )
        if not tx.aliases.move(alias):
            raise ConflictError(f"somebody moved the alias {name!r} at the same moment; look again")
        before = None if present is None else present.number
        told = {"alias": name, "version": number, "previous": before, "revision": alias.revision}
        announce(tx, "alias.moved", model_id, {"model_id": model_id, **told}, now)
        act = Act(actor=caller.actor, operation="alias.move", target=model_id, details=told)
        tx.audit.append(act, now)
        return alias


def view_of(alias: Alias) -> AliasView:
    """Return an alias as the API shows it."""
    return AliasView(
        model_id=alias.model_id,
        name=alias.name,
        version=alias.number,
        revision=alias.revision,
        moved_at=shown(alias.moved_at),
        moved_by=alias.actor,
    )


def _pointing(tx: Transaction, model_id: str, name: str) -> Alias:
    model = require_model(tx, model_id)
    alias = tx.aliases.get(model.id, name)
    if alias is None or alias.version_id is None:
        raise NotFoundError(f"the model {model.name!r} has no alias {name!r}")
    return alias


def _check_expected(present: Alias | None, name: str, expected: int | None) -> None:
    revision = 0 if present is None else present.revision
    if expected is not None and expected != revision:
        points_at = None if present is None else present.number
        raise ConflictError(
            f"the alias {name!r} has the revision {revision}, not {expected}; look at it again",
            {"revision": revision, "version": points_at},
        )
