"""What a rollout is to do: its steps, what each waits for, and what its gates measure by."""

from dataclasses import dataclass, field
from typing import Final

from octomil.rollouts.buckets import UNITS_PER_PERCENT, thousandths
from octomil.rollouts.limits import Limits

MAX_WAIT_S: Final = 366 * 86_400.0
"""Longest that any time of a plan may be."""


class PlanError(ValueError):
    """A plan makes no sense; the message names the field at fault."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pacing:
    """How fast the version is offered inside a step.

    Attributes:
        first_percentage: percentage points of the fleet that each step begins with.
        growth: by what their number grows from wave to wave; 1 adds as many each time.
        interval_s: seconds between two waves, at least.

    Raises:
        PlanError: a value is out of its range.
    """

    first_percentage: float = 1.0
    growth: float = 2.0
    interval_s: float = 300.0

    def __post_init__(self) -> None:
        if _checked("first_percentage", self.first_percentage) == 0:
            raise PlanError("first_percentage must be above 0")
        if not 1 <= self.growth <= 100:
            raise PlanError(f"growth must be from 1 to 100, got {self.growth}")
        _check_wait("interval_s", self.interval_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a rollout is to do.

    Attributes:
        rollout_percentage: share of the fleet of the first step.
        target_percentage: share of the last one.
        increment_step: percentage points that each step adds; the last adds what is left.
        health_window_s: seconds that a device must stay healthy after it took the version.
        dwell_s: seconds that all of a step is offered at least, before the next.
        patience_s: seconds without a verdict since the last offer, after which the rollout pauses
            for somebody to look; not below `dwell_s`.
        is_automatic: whether a step is taken as soon as the gates pass; else by hand alone. A
            breach rolls back in both cases.
        pacing: how fast the version is offered inside a step.
        limits: what the gates measure by.

    Raises:
        PlanError: a value is out of its range, or contradicts another.
        LimitsError: so does one of the limits.

    Example:
        >>> Plan(rollout_percentage=20, increment_step=40).steps()
        (20, 60.0, 100.0)
    """

    rollout_percentage: float = 10
    target_percentage: float = 100
    increment_step: float = 10
    health_window_s: float = 300.0
    dwell_s: float = 900.0
    patience_s: float = 86_400.0
    is_automatic: bool = True
    pacing: Pacing = field(default_factory=Pacing)
    limits: Limits = field(default_factory=Limits)

    def __post_init__(self) -> None:
        first = _checked("rollout_percentage", self.rollout_percentage)
        target = _checked("target_percentage", self.target_percentage)
        increment = _checked("increment_step", self.increment_step)
        if first == 0:
            raise PlanError("rollout_percentage must be above 0: a rollout to nobody has no end")
        if target < first:
            raise PlanError(
                f"target_percentage {self.target_percentage} is below rollout_percentage "
                f"{self.rollout_percentage}"
            )
        if increment == 0 and target > first:
            raise PlanError("increment_step must be above 0, or the target is never reached")
        _check_wait("health_window_s", self.health_window_s)
        _check_wait("dwell_s", self.dwell_s)
        _check_wait("patience_s", self.patience_s)
        if self.patience_s < self.dwell_s:
            raise PlanError(f"patience_s {self.patience_s} is below dwell_s {self.dwell_s}")

    def following(self, percentage: float, increment: float | None = None) -> float:
        """Return the share of the step after one of that share.

        Args:
            percentage: of the present step; the target or more has nothing after it.
            increment: percentage points to add instead of `increment_step`.

        Raises:
            PlanError: the increment is not above 0, up to 100.
        """
        units = _checked("increment", self.increment_step if increment is None else increment)
        if units == 0 and percentage < self.target_percentage:
            raise PlanError("a step of 0 points leads nowhere")
        sum_of_units = thousandths(percentage) + units
        return _as_percentage(min(sum_of_units, thousandths(self.target_percentage)))

    def steps(self) -> tuple[float, ...]:
        """Return the shares of all steps, if nobody interferes."""
        shares = [self.rollout_percentage]
        while shares[-1] < self.target_percentage:
            shares.append(self.following(shares[-1]))
        return tuple(shares)


def check_percentage(name: str, percentage: float) -> None:
    """Raise unless a share of the fleet can be hit.

    Raises:
        PlanError: it is not from 0 to 100, or finer than a thousandth.
    """
    _checked(name, percentage)


def _as_percentage(units: int) -> float:
    return units / UNITS_PER_PERCENT


def _checked(name: str, percentage: float) -> int:
    try:
        return thousandths(percentage)
    except ValueError as error:
        raise PlanError(f"{name}: {error}") from error


def _check_wait(name: str, value_s: float) -> None:
    if not 0 <= value_s <= MAX_WAIT_S:
        raise PlanError(f"{name} must be from 0 to {MAX_WAIT_S:.0f} seconds, got {value_s}")
