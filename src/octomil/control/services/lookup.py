"""Finding models and versions, or saying that they are not there."""

from octomil.control.ports import Transaction
from octomil.control.records import Model, Version
from octomil.errors import NotFoundError


def require_model(tx: Transaction, model_id: str) -> Model:
    """Return a model.

    Raises:
        NotFoundError: there is none under that id in the organisation.
    """
    return _there(tx.models.get(model_id), model_id)


def held_model(tx: Transaction, model_id: str) -> Model:
    """Return a model that nobody else can change or delete before the transaction ends.

    Raises:
        NotFoundError: there is none under that id in the organisation.
    """
    return _there(tx.models.hold(model_id), model_id)


def require_version(tx: Transaction, model_id: str, number: str) -> Version:
    """Return a version of a model.

    Raises:
        NotFoundError: there is no such model in the organisation, or the model has none with that
            number.
    """
    version = tx.versions.find(model_id, number)
    return version if version is not None else _missing(tx, model_id, number)


def held_version(tx: Transaction, model_id: str, number: str) -> Version:
    """Return a version that nobody else can change before the transaction ends.

    Raises:
        NotFoundError: there is no such model in the organisation, or the model has none with that
            number.
    """
    version = tx.versions.hold(model_id, number)
    return version if version is not None else _missing(tx, model_id, number)


def _there(model: Model | None, model_id: str) -> Model:
    if model is None:
        raise NotFoundError(f"there is no model {model_id!r}")
    return model


def _missing(tx: Transaction, model_id: str, number: str) -> Version:
    model = require_model(tx, model_id)
    raise NotFoundError(f"the model {model.name!r} has no version {number!r}")
