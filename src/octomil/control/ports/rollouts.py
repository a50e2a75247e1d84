"""Rollouts, and what devices attest that they run."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from octomil.control.records import Attestation, Rollout, RolloutStatus


class Rollouts(Protocol):
    """The rollouts of an organisation."""

    def add(self, rollout: Rollout) -> bool:
        """Add a rollout; return False, and change nothing, if its model has an open one."""

    def get(self, model_id: str, rollout_id: str) -> Rollout | None:
        """Return a rollout that is not deleted."""

    def list(self, model_id: str, status: RolloutStatus | None) -> Sequence[Rollout]:
        """Return a model's rollouts that are not deleted, newest first."""

    def of_version(self, version_id: str) -> Sequence[Rollout]:
        """Return the rollouts that need a version: the open ones, and the one it is offered by."""

    def change(self, rollout: Rollout, changes: Mapping[str, Any]) -> bool:
        """Replace fields of a rollout, if it is still as it was read; tell whether it was."""

    def offered(self, model_id: str) -> Rollout | None:
        """Return the rollout that says what a model's devices run."""

    def last_completed(self, model_id: str) -> Rollout | None:
        """Return the rollout that was completed last, and is not deleted."""

    def is_complete(self, rollout: Rollout) -> bool:
        """Tell whether there are devices, and all of them attest that they run it."""


class Attestations(Protocol):
    """What the devices of an organisation attest; of each device and model, the last word."""

    def put(self, attestation: Attestation) -> None:
        """Note one, in place of what the device said before."""

    def list(
        self, model_id: str, digest: str, *, limit: int, offset: int = 0
    ) -> Sequence[Attestation]:
        """Return what was attested about a version, by the devices' ids."""

    def counts(self, model_id: str, digest: str) -> tuple[int, int]:
        """Return how many devices run a version, and how many cannot."""


class Offers(Protocol):
    """What all organisations' devices are to run."""

    def all(self) -> Sequence[Rollout]:
        """Return every rollout that is offered."""

    def versions(self) -> Mapping[str, int]:
        """Return a number for each organisation, which grows with every change of its rollouts."""

    def active(self) -> Sequence[Rollout]:
        """Return every rollout that is under way."""
