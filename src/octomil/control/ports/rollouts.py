"""Rollouts, and what devices attest that they run."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Protocol

from octomil.control.records import Attestation, ManifestKey, Rollout, RolloutStatus


class Rollouts(Protocol):
    """The rollouts of an organisation."""

    def add(self, rollout: Rollout) -> bool:
        """Add a rollout; return False, and change nothing, if its model has an open one."""

    def get(self, model_id: str, rollout_id: str) -> Rollout | None:
        """Return a rollout that is not deleted."""

    def list(
        self, model_id: str, status: RolloutStatus | None, *, limit: int, offset: int = 0
    ) -> Sequence[Rollout]:
        """Return a model's rollouts that are not deleted, newest first."""

    def of_version(self, version_id: str) -> Sequence[Rollout]:
        """Return the rollouts that need a version: the open ones, and the one it is offered by."""

    def of_model(self, model_id: str) -> Sequence[Rollout]:
        """Return the rollouts that need a model: the open ones, and the one that is offered."""

    def change(self, rollout: Rollout, changes: Mapping[str, Any]) -> bool:
        """Replace fields of a rollout, if it is still as it was read; tell whether it was."""

    def offered(self, model_id: str) -> Rollout | None:
        """Return the rollout that says what a model's devices run."""

    def last_completed(self, model_id: str) -> Rollout | None:
        """Return what a rollback returns to: the last completed rollout but the offered one.

        Left out are those that are deleted, and those whose version was removed.
        """

    def first_lacking(self, rollout: Rollout, begin: str = "") -> str | None:
        """Return the first device, by ids and from `begin` on, that does not attest to run it."""


class Attestations(Protocol):
    """What the devices of an organisation attest; of each device and model, the last word."""

    def put(self, attestation: Attestation) -> None:
        """Note one, in place of what the device said before."""

    def list(
        self, model_id: str, digest: str, *, limit: int, offset: int = 0
    ) -> Sequence[Attestation]:
        """Return what was attested about a version, by the devices' ids."""

    def counts(self, model_id: str, digests: Collection[str]) -> Mapping[str, tuple[int, int]]:
        """Return how many devices run each of some versions, and how many cannot, by digest."""


class Offers(Protocol):
    """What all organisations' devices are to run."""

    def all(self) -> Sequence[Rollout]:
        """Return every rollout that is offered."""

    def keys(self) -> Mapping[str, ManifestKey]:
        """Return the key that signs of each organisation that offers something."""

    def names(self) -> Mapping[str, str]:
        """Return the name of each model of which something is offered, by its id."""

    def versions(self) -> Mapping[str, int]:
        """Return a number for each organisation, which grows with every change of its rollouts."""

    def active(self) -> Sequence[Rollout]:
        """Return every rollout that is under way."""
