"""How offers are spread inside a step: a small wave first, larger ones while all goes well.

A step begins with one percent of the fleet, whatever its share, so that a bad version has run on
few devices when it is found out. The waves after it double, and wait for the gates.
"""

from typing import Final

from octomil.rollouts.buckets import UNITS_PER_PERCENT, thousandths
from octomil.rollouts.plan import Pacing, Plan, PlanError
from octomil.rollouts.states import Progress

MAX_WAVES: Final = 1_000
"""So many waves a plan may have: each is a look and a transaction at least."""


def first_offer(pacing: Pacing, base_percentage: float, percentage: float) -> float:
    """Return the share of the fleet that a step offers the version to at first.

    Args:
        pacing: how fast it may go.
        base_percentage: what was offered before the step.
        percentage: what the step goes up to.

    Example:
        >>> first_offer(Pacing(), 0, 10)
        1.0
    """
    units = thousandths(base_percentage) + thousandths(pacing.first_percentage)
    return min(units, thousandths(percentage)) / UNITS_PER_PERCENT


def next_offer(pacing: Pacing, progress: Progress) -> float:
    """Return the share that the next wave goes up to; the step's own once all is offered.

    Example:
        >>> next_offer(Pacing(), Progress(percentage=10, offered_percentage=1))
        3.0
    """
    base, offered = thousandths(progress.base_percentage), thousandths(progress.offered_percentage)
    first, end = thousandths(pacing.first_percentage), thousandths(progress.percentage)
    waves = _waves_in(offered - base, first, pacing.growth)
    wave = max(1, int(first * pacing.growth**waves))
    return min(offered + wave, max(end, offered)) / UNITS_PER_PERCENT


def refuse_too_many_waves(plan: Plan) -> None:
    """Raise unless a plan comes to its end in 1,000 waves, if nobody interferes.

    Raises:
        PlanError: it takes more.
    """
    first, target = thousandths(plan.pacing.first_percentage), thousandths(plan.target_percentage)
    increment = thousandths(plan.increment_step)
    waves, before, end = 0, 0, thousandths(plan.rollout_percentage)
    while before < target:
        waves += _waves_up_to(end - before, first, plan.pacing.growth, MAX_WAVES)
        if waves > MAX_WAVES:
            raise PlanError(
                f"the plan takes more than {MAX_WAVES:,} waves; raise increment_step, or "
                "first_percentage or growth of its pacing"
            )
        before, end = end, min(end + increment, target)


def _waves_up_to(units: int, first: int, growth: float, enough: int) -> int:
    """Return in how many waves so much is offered; beyond `enough`, one more than that."""
    waves, size = 0, float(first)
    while units > 0 and waves <= enough:
        units -= int(size)
        size *= growth
        waves += 1
    return waves


def _waves_in(units: int, first: int, growth: float) -> int:
    """Return how many whole waves make up so much."""
    waves, size = 0, float(first)
    while units >= int(size):
        units -= int(size)
        size *= growth
        waves += 1
    return waves


def offered_devices(progress: Progress, fleet: int) -> int:
    """Return how many devices the step has been offered to so far, of a fleet of that many."""
    units = thousandths(progress.offered_percentage) - thousandths(progress.base_percentage)
    return max(0, units) * fleet // (100 * UNITS_PER_PERCENT)
