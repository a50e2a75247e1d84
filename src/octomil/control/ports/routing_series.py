"""What serving nodes did, by minutes and hours, as they report it."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol

from octomil.control.records import RoutingKey, RoutingRange, RoutingSums, RoutingTotal


class RoutingSeries(Protocol):
    """What the nodes of an organisation did.

    Sums are kept by minutes, and later by hours; no request is in both. Of each node and stretch of
    time there is room for so many models; what is of others is kept together.
    """

    def position(self, device_id: str, spool: str) -> int:
        """Return the last number of a node's spool that was dealt with; 0 if there is none."""

    def move(self, device_id: str, spool: str, number: int, dropped: int, now: datetime) -> None:
        """Note how far a node's spool was dealt with, and how many minutes it lost.

        A node has a few spools at most: the one that was not heard of for longest goes.
        """

    def add(self, device_id: str, start_s: int, sums: Mapping[RoutingKey, RoutingSums]) -> None:
        """Add to what a node did in the minute that began then."""

    def over_time(self, wanted: RoutingRange, step_s: int) -> Sequence[RoutingTotal]:
        """Return the sums of each step and tier, in order; steps begin at multiples of `step_s`."""

    def by_model(self, wanted: RoutingRange) -> Sequence[RoutingTotal]:
        """Return the sums of each model and tier."""

    def nodes(self, wanted: RoutingRange) -> int:
        """Return how many nodes did something."""

    def dropped(self) -> int:
        """Return how many minutes nodes lost before they could tell of them."""


class RoutingHours(Protocol):
    """What the nodes of all organisations did long ago."""

    def roll_up(self, before_s: int, limit: int) -> int:
        """Make hours of minutes before a moment; return how many, at most `limit`."""
