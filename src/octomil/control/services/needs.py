"""Who needs a version or a model, and so keeps it from being removed."""

from collections.abc import Callable, Sequence

from octomil.control.ports import Transaction
from octomil.control.records import Model, Version
from octomil.errors import ConflictError


def _aliases(tx: Transaction, version: Version) -> list[str]:
    return [f"the alias {name!r}" for name in tx.aliases.of_version(version.id)]


def _children(tx: Transaction, version: Version) -> list[str]:
    found = tx.versions.get_all(tx.lineage.children_of(version.id)).values()
    return [f"the version {child.number} of {child.model_id}" for child in found]


def _rollouts(tx: Transaction, version: Version) -> list[str]:
    return [f"the rollout {rollout.id}" for rollout in tx.rollouts.of_version(version.id)]


NEEDS: Sequence[Callable[[Transaction, Version], list[str]]] = (_aliases, _children, _rollouts)
"""Each names those that need a version; whatever else comes to need one is one line here."""


def check_not_needed(tx: Transaction, version: Version) -> None:
    """Return if nobody needs a version.

    Raises:
        ConflictError: somebody does; the message and `details["needed_by"]` say who.
    """
    needed_by = [who for names in NEEDS for who in names(tx, version)]
    _refuse(f"the version {version.number}", needed_by)


def check_not_rolling_out(tx: Transaction, version: Version) -> None:
    """Return if no rollout of a version is open: devices would take what is out of use.

    Raises:
        ConflictError: one is; the message says which, and what to do.
    """
    for rollout in tx.rollouts.of_version(version.id):
        if rollout.state.is_open:
            raise ConflictError(
                f"the version {version.number} is being rolled out: the rollout {rollout.id} is "
                f"{rollout.state}; let it complete, or roll it back first (`octomil rollouts "
                f"rollback`, or POST …/rollouts/{rollout.id}/rollback)",
                {"needed_by": [f"the rollout {rollout.id}"]},
            )


def check_model_not_needed(tx: Transaction, model: Model) -> None:
    """Return if nobody needs a model: no alias, no rollout, and no version of another model.

    Raises:
        ConflictError: somebody does; the message and `details["needed_by"]` say who.
    """
    children = tx.versions.get_all(tx.lineage.foreign_children(model.id)).values()
    needed_by = [
        *(f"the alias {alias.name!r}" for alias in tx.aliases.list(model.id)),
        *(f"the version {child.number} of {child.model_id}" for child in children),
        *(f"the rollout {rollout.id}" for rollout in tx.rollouts.of_model(model.id)),
    ]
    _refuse(f"the model {model.name!r}", needed_by)


def _refuse(what: str, needed_by: Sequence[str]) -> None:
    if needed_by:
        raise ConflictError(
            f"{what} is needed by {', '.join(needed_by)}; remove that first, roll a rollout back, "
            "or point an alias elsewhere",
            {"needed_by": list(needed_by)},
        )
