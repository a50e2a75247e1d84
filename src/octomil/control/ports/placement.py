"""Decisions where models run, counted, and how fast devices are."""

from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

from octomil.control.records import DeviceProfile, RouteTally
from octomil.placement.devices import HardwareKind
from octomil.placement.speeds import Samples


class RouteTallies(Protocol):
    """The decisions about an organisation's models."""

    def of_model(self, model_id: str) -> Sequence[RouteTally]:
        """Return what was decided about a model, the most common first."""


class DeviceProfiles(Protocol):
    """What an organisation's devices measured of themselves."""

    def put(self, profile: DeviceProfile) -> None:
        """Keep a device's profile, in place of the one before."""

    def get(self, device_id: str) -> DeviceProfile | None:
        """Return a device's profile."""

    def classes_of(self, device_ids: Collection[str]) -> Mapping[str, str]:
        """Return the classes of those devices that have a profile, by their ids."""

    def delete(self, device_id: str) -> None:
        """Forget a device's profile, if there is one."""

    def samples(
        self, kind: HardwareKind, model_id: str, device_id: str | None, limit: int
    ) -> Samples:
        """Return what is known of how fast devices run a model.

        Args:
            kind: of the devices.
            model_id: the model.
            device_id: the device whose own measurements are wanted; they count if it is of the
                kind. None for nobody's.
            limit: of how many devices of the kind at most, those that measured last.
        """
