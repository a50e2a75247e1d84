"""Decisions where models run, counted, and how fast devices are."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from octomil.placement.devices import HardwareKind
from octomil.placement.speeds import ModelSpeed


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteTally:
    """How often it was decided about a model in one way for one reason.

    Attributes:
        latency_us: what all these decisions took together.
    """

    model_id: str
    target: str
    reason: str
    decisions: int
    latency_us: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceProfile:
    """What a device measured of itself.

    Attributes:
        kind: the devices that it is as fast as.
        ms_per_mb: its pace; None if it measured no model.
        speeds: how fast it ran models, each of which is there once.
        content: all that it said, as JSON values.
    """

    device_id: str
    kind: HardwareKind
    ms_per_mb: float | None
    speeds: tuple[ModelSpeed, ...]
    content: Mapping[str, Any]
    measured_at: datetime
