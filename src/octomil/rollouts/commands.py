"""What is done to a rollout whatever its gates say: each returns the transition to store.

All but `fail` are what people do, and each has an actor and a reason in the history. What is so
already is no transition: a second `pause` changes nothing and is no error.
"""

from dataclasses import replace
from datetime import datetime

from octomil.rollouts.plan import Plan, PlanError, check_percentage
from octomil.rollouts.states import Action, Progress, RolloutState, Transition, follow
from octomil.rollouts.steps import next_step


def start(
    plan: Plan, progress: Progress, *, now: datetime, actor: str, reason: str = ""
) -> Transition | None:
    """Offer the version to the first devices.

    Raises:
        TransitionError: the rollout is paused, or over.
    """
    if progress.state is RolloutState.ACTIVE:
        return None
    after = next_step(plan, _in_state(progress, Action.START), now)
    return _transition(Action.START, progress, after, now, actor, reason)


def advance(
    plan: Plan,
    progress: Progress,
    *,
    now: datetime,
    actor: str,
    increment: float | None = None,
    reason: str = "",
) -> Transition:
    """Take the next step, whatever the gates say; start a pending rollout; complete the last step.

    Args:
        plan: what the rollout is to do.
        progress: where it stands.
        now: the time.
        actor: who does it.
        increment: percentage points to add instead of the plan's.
        reason: why.

    Raises:
        TransitionError: the rollout is paused, or over.
        PlanError: the increment is not above 0, up to 100.
    """
    after = _in_state(progress, Action.ADVANCE)
    if progress.step and progress.percentage >= plan.target_percentage:
        after = replace(
            _in_state(progress, Action.COMPLETE), offered_percentage=progress.percentage
        )
        return _transition(Action.COMPLETE, progress, after, now, actor, reason)
    percentage = None if increment is None else plan.following(progress.percentage, increment)
    after = next_step(plan, after, now, percentage)
    return _transition(Action.ADVANCE, progress, after, now, actor, reason)


def set_percentage(
    plan: Plan,
    progress: Progress,
    percentage: float,
    *,
    now: datetime,
    actor: str,
    reason: str = "",
) -> Transition | None:
    """Let the rollout go up to another share of the fleet.

    More than now is a step, paced like any other. Less takes the version from the devices above
    it, and from no others; those below keep it, and the rollout pauses until somebody resumes it.

    Raises:
        TransitionError: the rollout has not been started, or is over.
        PlanError: the percentage is not from 0 to the plan's target.
    """
    check_percentage("percentage", percentage)
    if percentage > plan.target_percentage:
        raise PlanError(f"{percentage} is above the target, {plan.target_percentage} %")
    action = Action.LOWER if percentage < progress.percentage else Action.SET_PERCENTAGE
    after = _in_state(progress, action)
    if percentage == progress.percentage:
        return None
    if action is Action.SET_PERCENTAGE:
        after = next_step(plan, after, now, percentage)
    else:
        after = replace(
            after,
            base_percentage=min(progress.base_percentage, percentage),
            percentage=percentage,
            offered_percentage=min(progress.offered_percentage, percentage),
            widened_at=now,
        )
    return _transition(action, progress, after, now, actor, reason)


def pause(progress: Progress, *, now: datetime, actor: str, reason: str = "") -> Transition | None:
    """Offer the version to nobody new; who has begun to take it goes on.

    Raises:
        TransitionError: the rollout has not been started, or is over.
    """
    if progress.state is RolloutState.PAUSED:
        return None
    after = _in_state(progress, Action.PAUSE)
    return _transition(Action.PAUSE, progress, after, now, actor, reason)


def resume(progress: Progress, *, now: datetime, actor: str, reason: str = "") -> Transition | None:
    """Go on after a pause: the same step, the same devices, and its waiting begins anew.

    Raises:
        TransitionError: the rollout has not been started, or is over.
    """
    if progress.state is RolloutState.ACTIVE:
        return None
    after = replace(_in_state(progress, Action.RESUME), widened_at=now)
    return _transition(Action.RESUME, progress, after, now, actor, reason)


def roll_back(
    progress: Progress, *, now: datetime, actor: str, reason: str = ""
) -> Transition | None:
    """Take the version from every device; each goes back to what it ran well before.

    Raises:
        TransitionError: the rollout has failed.
    """
    if progress.state is RolloutState.ROLLED_BACK:
        return None
    after = _in_state(progress, Action.ROLL_BACK)
    return _transition(Action.ROLL_BACK, progress, after, now, actor, reason)


def fail(progress: Progress, *, now: datetime, actor: str, reason: str) -> Transition | None:
    """End a rollout that cannot be carried out; devices go back as after a rollback.

    Raises:
        TransitionError: the rollout has not been started, or is over.
    """
    if progress.state is RolloutState.FAILED:
        return None
    after = _in_state(progress, Action.FAIL)
    return _transition(Action.FAIL, progress, after, now, actor, reason)


def _in_state(progress: Progress, action: Action) -> Progress:
    state = follow(progress.state, action)
    return replace(progress, state=state, revision=progress.revision + 1)


def _transition(
    action: Action, before: Progress, after: Progress, now: datetime, actor: str, reason: str
) -> Transition:
    return Transition(action=action, before=before, after=after, at=now, actor=actor, reason=reason)
