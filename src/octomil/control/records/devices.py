"""Devices, and what they say about themselves."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """What a device says about itself."""

    platform: str | None = None
    os_version: str | None = None
    sdk_version: str | None = None
    app_version: str | None = None
    metadata: Mapping[str, Any]
    capabilities: Mapping[str, Any]
    feature_schema: Any = None


EMPTY_PROFILE = Profile(metadata={}, capabilities={})


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """A registered device.

    Attributes:
        identifier: what it calls itself, unique in its organisation.
        generation: access tokens of older generations are void.
        last_seen_at: to within the time between two flushes; None before the first.
        labels: name to value, given by whoever runs the fleet, not by the device.
        groups: names of those it is in, sorted.
    """

    id: str
    organisation: str
    identifier: str
    profile: Profile
    generation: int
    created_at: datetime
    updated_at: datetime
    last_seen_at: datetime | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    groups: tuple[str, ...] = ()


DeviceOrder = Literal["id", "identifier", "last_seen"]


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceFilter:
    """Which devices to list; all that is set must be true of a device.

    Attributes:
        labels: name to value.
        seen_after: the moment itself counts.
        seen_before: the moment itself does not; who was never seen does not either.
        text: what the identifier begins with.
    """

    platform: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    group: str | None = None
    seen_after: datetime | None = None
    seen_before: datetime | None = None
    text: str | None = None

    @property
    def order(self) -> DeviceOrder:
        """What the devices are listed by: that which an index finds them by.

        The youngest id first, the latest seen first, or identifiers from A to Z.
        """
        if self.text is not None:
            return "identifier"
        return "last_seen" if self.seen_after or self.seen_before else "id"
