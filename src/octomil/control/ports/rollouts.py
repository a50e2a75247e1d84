"""Rollouts, where devices stand with them, and what devices attest that they run."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Protocol

from octomil.control.records import Attestation, ManifestKey, Rollout, RolloutDevice
from octomil.rollouts.blocks import Ruling
from octomil.rollouts.device_states import DeviceProgress
from octomil.rollouts.states import RolloutState, Transition


class Rollouts(Protocol):
    """The rollouts of an organisation."""

    def next_ordinal(self, model_id: str) -> int:
        """Return the ordinal of a model's next rollout; deleted ones count."""

    def add(self, rollout: Rollout) -> bool:
        """Add a rollout; return False, and change nothing, if its model has an open one."""

    def get(self, model_id: str, rollout_id: str) -> Rollout | None:
        """Return a rollout that is not deleted."""

    def list(
        self, model_id: str, state: RolloutState | None, *, limit: int, offset: int = 0
    ) -> Sequence[Rollout]:
        """Return a model's rollouts that are not deleted, newest first."""

    def of_version(self, version_id: str) -> Sequence[Rollout]:
        """Return the rollouts that need a version.

        Those are the open ones, its layers, and what is a layer once one of these is rolled back.
        """

    def of_model(self, model_id: str) -> Sequence[Rollout]:
        """Return the rollouts that need a model: the open ones, and its layers."""

    def layers(self, model_id: str) -> Sequence[Rollout]:
        """Return the rollouts that say what a model's devices run, newest first.

        A device runs the version of the first that offers it one. What lies below one that offers
        it to all devices is none of them, nor what offers a version that was removed.
        """

    def standing(self, model_id: str) -> Sequence[Rollout]:
        """Return the rollouts that offer a version, or would if those above were rolled back."""

    def take(self, rollout_id: str, transition: Transition) -> bool:
        """Store a transition, and its entry in the history; tell whether it took effect.

        It does if the rollout still stands where the transition starts from, by its revision, and
        is not deleted.
        """

    def remove(self, rollout: Rollout, now: datetime) -> bool:
        """Show a rollout no more, if it is still as it was read; tell whether it was."""

    def history(self, rollout_id: str, *, limit: int, offset: int = 0) -> Sequence[Transition]:
        """Return a rollout's transitions, oldest first."""


class RolloutDevices(Protocol):
    """Where the devices of an organisation stand with rollouts; one row for each that took one."""

    def put(self, *some: RolloutDevice) -> None:
        """Note where devices stand, in place of what was known."""

    def get(self, rollout_id: str, device_id: str) -> RolloutDevice | None:
        """Return where a device stands."""

    def page(self, rollout_id: str, after: str | None, limit: int) -> Sequence[RolloutDevice]:
        """Return where the first devices behind an id stand, by their ids; None is before all."""

    def tally(self, rollout_id: str, since: datetime) -> Sequence[tuple[DeviceProgress, int]]:
        """Count the devices that are evidence and took the version since a moment.

        Removed devices are left out. Of the progress, only state, last stage and code mean
        something: each that occurs comes once, with how many devices are there.
        """

    def on_the_way(self, rollout_id: str, since: datetime) -> int:
        """Count the devices that told a stage after a moment, and have attested nothing yet.

        Removed devices are left out.
        """

    def silent(self, rollout_id: str, before: datetime, *, limit: int) -> Sequence[RolloutDevice]:
        """Return devices that run the version, are not confirmed, and moved last before then."""

    def unfinished(
        self, rollout_id: str, until: datetime, *, limit: int
    ) -> Sequence[RolloutDevice]:
        """Return devices that came to no end and moved last by then, the longest ago first."""


class Rulings(Protocol):
    """Which versions of an organisation must not be rolled out, and since when they may again."""

    def add(self, ruling: Ruling) -> bool:
        """Note one behind those before; return False if another came in between."""

    def of(self, digest: str) -> Sequence[Ruling]:
        """Return those on what a version is known by, in their order."""


class Attestations(Protocol):
    """What the devices of an organisation attest; of each device and model, the last word."""

    def put(self, attestation: Attestation) -> None:
        """Note one, in place of what the device said before."""

    def get(self, device_id: str, model_id: str) -> Attestation | None:
        """Return what a device said last about a model."""

    def of_devices(self, model_id: str, device_ids: Collection[str]) -> Mapping[str, Attestation]:
        """Return what devices said last about a model, by their ids."""

    def counts(self, model_id: str, digests: Collection[str]) -> Mapping[str, tuple[int, int]]:
        """Return how many devices run each of some versions, and how many cannot, by digest."""

    def others(
        self, rollout: Rollout, *, since: datetime, seen_until: datetime, silent_before: datetime
    ) -> tuple[int, int]:
        """Return how many devices on other versions came to an end, and how many of these failed.

        Args:
            rollout: those that run its version, or took it, are left out.
            since: who runs its version from before then on, and was seen then or later, is looked
                at, as is who says from then on that it cannot run: that one failed.
            seen_until: who was seen then or later stayed healthy.
            silent_before: who was not seen since failed.
        """


class Offers(Protocol):
    """The rollouts of all organisations."""

    def numbers(self) -> Mapping[str, int]:
        """Return a number for each organisation, which grows with every change of its rollouts."""

    def keys(self) -> Mapping[str, ManifestKey]:
        """Return the key that signs of each organisation that has rollouts."""

    def layers(self, organisations: Collection[str]) -> Sequence[tuple[Rollout, str]]:
        """Return their rollouts that say what devices run, each with its model's name.

        They come by organisation, then by model, then newest first, as `Rollouts.layers` has them.
        """

    def steered(self) -> Sequence[Rollout]:
        """Return every rollout that something may still come of: the active and paused ones."""

    def unfinished(self) -> Sequence[tuple[Rollout, datetime]]:
        """Return the rollouts that are over with devices that came to no end, deleted ones too.

        Each has the moment when the one of these moved that has not for the longest time. Where
        there are none this costs next to nothing, however many devices took rollouts.
        """
