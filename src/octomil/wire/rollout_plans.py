"""What a plan says of its waves and gates: as a request asks for it, and as it is shown."""

from dataclasses import dataclass
from typing import Annotated

from annotated_types import Ge, Interval, Le

from octomil.wire.known_fields import KnownFields
from octomil.wire.numbers import EXACT, Flag

Percentage = Annotated[float, Interval(ge=0, le=100), EXACT]
Seconds = Annotated[float, Interval(ge=0, le=366 * 86_400), EXACT]
Growth = Annotated[float, Interval(ge=1, le=100), EXACT]
Excess = Annotated[float, Interval(ge=0, le=100), EXACT]
Sample = Annotated[int, Ge(2), Le(10**9), EXACT]
Share = Annotated[float, Interval(gt=0, lt=0.5), EXACT]


@dataclass(frozen=True, slots=True, kw_only=True)
class PacingRequest(KnownFields):
    """How fast a version is offered inside a step; what is left out is as usual.

    Attributes:
        first_percentage: percentage points of the fleet that each step begins with.
        growth: by what their number grows from wave to wave; 1 adds as many each time.
        interval_s: seconds between two waves, at least.
    """

    first_percentage: Percentage | None = None
    growth: Growth | None = None
    interval_s: Seconds | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GateRequest(KnownFields):
    """By how much a version may exceed the one before it; what is left out is as usual.

    Attributes:
        tolerated: a version within it is good.
        unacceptable: a version beyond it is bad.
        required: whether a step waits for evidence where there is none.
    """

    tolerated: Excess | None = None
    unacceptable: Excess | None = None
    required: Flag | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GatesRequest(KnownFields):
    """What the gates of a rollout measure by; what is left out is as usual.

    Attributes:
        devices: share of devices that cannot run the version, or do not stay healthy.
        errors: share of requests that fail.
        latency: mean latency, as a share of the old one.
        minimum_sample: devices below which nothing passes by its weight.
        sufficient_sample: devices that are enough for a verdict.
        expected_failures: share of devices that fail where there is no version before.
    """

    devices: GateRequest | None = None
    errors: GateRequest | None = None
    latency: GateRequest | None = None
    minimum_sample: Sample | None = None
    sufficient_sample: Sample | None = None
    expected_failures: Share | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PacingView:
    """How fast the version is offered inside a step.

    Attributes:
        first_percentage: percentage points of the fleet that each step begins with.
        growth: by what their number grows from wave to wave; 1 adds as many each time.
        interval_s: seconds between two waves, at least.
    """

    first_percentage: float
    growth: float
    interval_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class GateView:
    """By how much a version may exceed the one before it.

    Attributes:
        tolerated: a version within it is good.
        unacceptable: a version beyond it is bad.
        required: whether a step waits for evidence where there is none.
    """

    tolerated: float
    unacceptable: float
    required: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class GatesView:
    """What the gates measure by; each field means what the request's does."""

    devices: GateView
    errors: GateView
    latency: GateView
    minimum_sample: int
    sufficient_sample: int
    expected_failures: float
