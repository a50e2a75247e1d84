"""How versions fare on devices, by their own reports."""

from datetime import datetime
from typing import Protocol

from octomil.control.records import ArmUsage, DeviceUsage, Rollout


class Usage(Protocol):
    """What the devices of an organisation report of the requests that they answered."""

    def open_window(self, device_id: str, window: int, now: datetime) -> bool:
        """Note a report of a device; return False if it is not later than those before."""

    def last_window(self, device_id: str) -> int:
        """Return the last window that a device was heard of; 0 if there is none."""

    def add(self, rollout: Rollout, usage: DeviceUsage) -> None:
        """Add to what a device did since the step of a rollout began.

        What it did in earlier steps goes.
        """

    def tally(self, rollout: Rollout) -> tuple[ArmUsage, ArmUsage]:
        """Return what was done since a rollout's step began: with its version, and with others.

        With its version, by the devices that are evidence and took it since; with others, by those
        that ran them already when the step began, and did not take it. Removed devices are left
        out.
        """
