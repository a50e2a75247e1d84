"""Where a rollout stands when its next step begins, whoever takes it."""

from dataclasses import replace
from datetime import datetime

from octomil.rollouts.pacing import first_offer
from octomil.rollouts.plan import Plan
from octomil.rollouts.states import Progress


def next_step(
    plan: Plan, progress: Progress, now: datetime, percentage: float | None = None
) -> Progress:
    """Return the progress at the beginning of the next step.

    Args:
        plan: what the rollout is to do.
        progress: where it stands; what it offers already stays offered.
        now: when the step begins.
        percentage: what it goes up to; by default what the plan has next.
    """
    if percentage is None:
        is_first = progress.step == 0
        percentage = plan.rollout_percentage if is_first else plan.following(progress.percentage)
    base = progress.offered_percentage
    return replace(
        progress,
        step=progress.step + 1,
        base_percentage=base,
        percentage=percentage,
        offered_percentage=first_offer(plan.pacing, base, percentage),
        began_at=now,
        widened_at=now,
    )
