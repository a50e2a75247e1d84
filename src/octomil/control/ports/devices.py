"""Devices."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol

from octomil.control.records import Device, DeviceFilter, Profile, Revocation


class Devices(Protocol):
    """The devices of an organisation."""

    def add(self, device: Device) -> bool:
        """Add a device; return False, and change nothing, if its identifier is taken."""

    def get(self, device_id: str) -> Device | None:
        """Return a device by its id."""

    def count(self) -> int:
        """Return how many there are."""

    def ids(self) -> Sequence[str]:
        """Return the ids of all, in no order; for fleets that are known to be small."""

    def find(self, identifier: str) -> Device | None:
        """Return a device by what it calls itself."""

    def update_profile(self, device_id: str, profile: Profile, now: datetime) -> None:
        """Replace what a device says about itself."""

    def tag(
        self, device_id: str, labels: Mapping[str, str], groups: Sequence[str], now: datetime
    ) -> None:
        """Replace a device's labels and groups; `groups` is sorted."""

    def page(
        self, wanted: DeviceFilter, after: Sequence[object] | None, limit: int
    ) -> Sequence[Device]:
        """Return the next devices in the order that `wanted` has.

        Args:
            wanted: which devices.
            after: where the page before ended: its last device's id, behind its identifier or the
                moment it was last seen where the order goes by that.
            limit: how many at most.
        """

    def remove(self, device_id: str, now: datetime) -> Revocation | None:
        """Make a device unknown, and its access tokens void; None if there is none.

        Its id stays taken: it is `restore`d when the same identifier registers again.
        """

    def restore(self, identifier: str, profile: Profile, now: datetime) -> Device | None:
        """Bring a removed device back as if it were new; None if none of that name was removed."""

    def revoke_tokens(self, device_id: str, now: datetime) -> Revocation:
        """Void every access token that a device has; return its new generation.

        Raises:
            LookupError: there is no such device.
        """
