"""Models: made, looked at, described, removed."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from octomil.control.identifiers import new_id
from octomil.control.moments import shown
from octomil.control.ports import Clock, Store, Transaction
from octomil.control.records import Act, Model
from octomil.control.scopes import MODELS_READ, MODELS_WRITE
from octomil.control.services.callers import Caller
from octomil.control.services.events import announce
from octomil.control.services.lookup import held_model, require_model
from octomil.control.services.merging import bounded, merged
from octomil.control.services.needs import check_model_not_needed
from octomil.errors import ConflictError
from octomil.wire.models import ModelCreation, ModelView

_DESCRIPTIONS = frozenset({"model_contract", "data_contract", "architecture"})


class ModelService:
    """What can be done with models.

    Args:
        store: where they are.
        clock: tells the time.
    """

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    def ensure(self, caller: Caller, creation: ModelCreation) -> tuple[Model, bool]:
        """Return the model of that name, made if need be, and whether it was.

        One that is there stays as it is. Clients that do this at once all get the same.

        Raises:
            ForbiddenError: the caller lacks the scope, or belongs to another organisation.
            PayloadTooLargeError: the metadata of a new one are too large.
        """
        caller.require(MODELS_WRITE)
        caller.require_organisation(creation.org_id)
        with self._store.transaction(caller.organisation) as tx:
            known = tx.models.find(creation.name)
            if known is not None:
                return known, False
            model = self._new(tx, creation)
            if not tx.models.add(model):  # somebody was faster
                added = tx.models.find(creation.name)
                assert added is not None
                return added, False
            data = {"model_id": model.id, "name": model.name}
            announce(tx, "model.created", model.id, data, model.created_at)
            self._note(tx, caller, "model.create", model)
        return model, True

    def get(self, caller: Caller, model_id: str) -> Model:
        """Return a model.

        Raises:
            ForbiddenError: the caller lacks the scope.
            NotFoundError: there is no such model in the caller's organisation.
        """
        caller.require(MODELS_READ)
        with self._store.snapshot(caller.organisation) as tx:
            return require_model(tx, model_id)

    def list(
        self, caller: Caller, filters: Mapping[str, str], *, limit: int, offset: int
    ) -> Sequence[Model]:
        """Return models in the order of their names.

        Args:
            caller: who asks.
            filters: what `name`, `framework` or `use_case` must be.
            limit: how many at most.
            offset: how many to leave out at the beginning.

        Raises:
            ForbiddenError: the caller lacks the scope.
        """
        caller.require(MODELS_READ)
        with self._store.snapshot(caller.organisation) as tx:
            return tx.models.list(filters=filters, limit=limit, offset=offset)

    def update(self, caller: Caller, model_id: str, changes: Mapping[str, Any]) -> Model:
        """Change what is known about a model.

        Args:
            caller: who asks.
            model_id: which one.
            changes: by the names of the record; of `metadata`, what is not named stays.

        Raises:
            ForbiddenError: the caller lacks the scope.
            NotFoundError: there is no such model in the caller's organisation.
            ConflictError: the name is to be another.
            PayloadTooLargeError: the metadata, a contract or the architecture would become too
                large.
        """
        caller.require(MODELS_WRITE)
        now = self._clock()
        with self._store.transaction(caller.organisation) as tx:
            model = held_model(tx, model_id)
            wanted = dict(changes)
            if wanted.pop("name", model.name) != model.name:
                raise ConflictError(
                    "a model keeps its name, which the manifests of its versions say; make another "
                    "model"
                )
            if "metadata" in wanted:
                wanted["metadata"] = merged("metadata", model.metadata, wanted["metadata"])
            for name in _DESCRIPTIONS.intersection(wanted):
                bounded(name, wanted[name])
            tx.models.update(model.id, wanted, now)
            self._note(tx, caller, "model.update", model, fields=sorted(wanted))
        return replace(model, **wanted, updated_at=now)

    def delete(self, caller: Caller, model_id: str) -> None:
        """Remove a model with all its versions.

        Raises:
            ForbiddenError: the caller lacks the scope.
            NotFoundError: there is no such model in the caller's organisation.
            ConflictError: somebody needs one of its versions.
        """
        caller.require(MODELS_WRITE)
        with self._store.transaction(caller.organisation) as tx:
            tx.lineage.hold()
            model = held_model(tx, model_id)
            check_model_not_needed(tx, model)
            tx.aliases.delete_all(model.id)
            tx.lineage.delete_all(model.id)
            tx.versions.delete_all(model.id)
            tx.models.delete(model.id)
            self._note(tx, caller, "model.delete", model)

    def _new(self, tx: Transaction, creation: ModelCreation) -> Model:
        now = self._clock()
        return Model(
            id=new_id("mdl", now),
            organisation=tx.organisation,
            name=creation.name,
            description=creation.description,
            framework=creation.framework,
            use_case=creation.use_case,
            model_contract=bounded("model_contract", creation.model_contract),
            data_contract=bounded("data_contract", creation.data_contract),
            architecture=bounded("architecture", creation.architecture),
            metadata=merged("metadata", {}, creation.metadata or {}),
            created_at=now,
            updated_at=now,
        )

    def _note(
        self, tx: Transaction, caller: Caller, operation: str, model: Model, **details: Any
    ) -> None:
        told = {"name": model.name, **details}
        act = Act(actor=caller.actor, operation=operation, target=model.id, details=told)
        tx.audit.append(act, self._clock())


def view_of(model: Model) -> ModelView:
    """Return a model as the API shows it."""
    return ModelView(
        id=model.id,
        name=model.name,
        org_id=model.organisation,
        description=model.description,
        framework=model.framework,
        use_case=model.use_case,
        model_contract=model.model_contract,
        data_contract=model.data_contract,
        architecture=model.architecture,
        metadata=dict(model.metadata),
        created_at=shown(model.created_at),
        updated_at=shown(model.updated_at),
    )
