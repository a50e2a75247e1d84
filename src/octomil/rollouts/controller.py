"""What a rollout does next by itself: one pure function, called after every report and every tick.

Nothing is remembered between two calls but the progress that is stored. So any number of
orchestrators may call it: they come to the same transition, and the store takes the first.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from octomil.rollouts.buckets import threshold
from octomil.rollouts.evidence import Observation
from octomil.rollouts.findings import Judgement, Verdict
from octomil.rollouts.gates import awaits_more, judge
from octomil.rollouts.pacing import next_offer, offered_devices
from octomil.rollouts.plan import Plan
from octomil.rollouts.states import (
    CONTROLLER,
    Action,
    Progress,
    RolloutState,
    Transition,
    follow,
)
from octomil.rollouts.steps import next_step


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing to do now.

    Attributes:
        reason: what is waited for.
        until: when time alone may change that; None if only reports or people can.
        judgement: what the gates said, if they were asked.
    """

    reason: str
    until: datetime | None = None
    judgement: Judgement | None = None


def decide(
    plan: Plan, progress: Progress, observation: Observation, now: datetime
) -> Transition | Wait:
    """Return a rollout's next transition, or what it waits for.

    A paused rollout is still rolled back by a breach: there are devices that run its version.

    Args:
        plan: what it is to do.
        progress: where it stands.
        observation: what was seen since its step began.
        now: the time, by the clock that the progress was written by.
    """
    if not progress.state.is_under_way or progress.widened_at is None:
        return Wait(f"the rollout is {progress.state.replace('_', ' ')}")
    look = _Look(plan, progress, observation, now, progress.widened_at)
    judgement = judge(
        plan.limits,
        observation,
        step=progress.step,
        is_settled=look.is_settled,
        reached=look.reached,
    )
    if judgement.verdict is Verdict.BREACH:
        return look.transition(Action.ROLL_BACK, judgement)
    if progress.state is RolloutState.PAUSED:
        return Wait("somebody to resume it", None, judgement)
    if judgement.verdict is Verdict.PASS:
        return look.after_pass(judgement)
    return look.without_verdict(judgement)


@dataclass(frozen=True, slots=True)
class _Look:
    """One look at an active rollout."""

    plan: Plan
    progress: Progress
    observation: Observation
    now: datetime
    widened_at: datetime

    @property
    def is_settled(self) -> bool:
        """Whether all who were offered the version had time to take it, and nobody is at it."""
        return (
            self.now >= self._after(self.plan.dwell_s) and not self.observation.candidate.under_way
        )

    @property
    def reached(self) -> int:
        """How many devices the step was offered to: counted, or by its share of the fleet."""
        counted = self.observation.reached
        if counted is not None:
            return counted
        return offered_devices(self.progress, self.observation.fleet)

    @property
    def reaches_nobody(self) -> bool:
        """Whether the fleet is so small that what is offered of the step is no whole device."""
        return self.reached == 0

    @property
    def lacks_devices(self) -> bool:
        """Whether the step was offered to too few devices for a verdict, however long one waits."""
        return self.reached < self.plan.limits.sufficient_sample

    @property
    def may_widen(self) -> bool:
        """Whether the offer may grow without a verdict."""
        if self.reaches_nobody:
            return True
        is_ready = self.is_settled and not awaits_more(self.plan.limits, self.observation)
        return self.lacks_devices and is_ready

    def after_pass(self, judgement: Judgement) -> Transition | Wait:
        """Widen the offer up to the step's share; then take the next step, or end."""
        plan, progress = self.plan, self.progress
        if progress.offered_percentage < progress.percentage:
            adds_nobody = self.reaches_nobody or self._reaches_nobody_new(self._next_offer())
            wave_at = self._after(0 if adds_nobody else plan.pacing.interval_s)
            if self.now < wave_at:
                return Wait("the next wave", wave_at, judgement)
            return self.transition(Action.WIDEN, judgement)
        dwelt_at = self._after(plan.dwell_s)
        if self.now < dwelt_at:
            return Wait("the end of the step's time", dwelt_at, judgement)
        if progress.percentage >= plan.target_percentage:
            return self.transition(Action.COMPLETE, judgement)
        if not plan.is_automatic:
            return Wait("somebody to take the next step", None, judgement)
        return self.transition(Action.ADVANCE, judgement)

    def without_verdict(self, judgement: Judgement) -> Transition | Wait:
        """Hold; never take a step.

        Inside the step the offer may grow up to the sufficient sample: a small fleet's first
        percent could give no verdict. Nobody is waited for where there is nobody.
        """
        wait_s = max(self.plan.pacing.interval_s, self.plan.dwell_s)
        wave_at = self._after(0 if self.reaches_nobody else wait_s)
        has_more = self.progress.offered_percentage < self.progress.percentage
        if has_more and self.may_widen and self.now >= wave_at:
            return self.transition(Action.WIDEN, judgement)
        paused_at = self._after(self.plan.patience_s)
        if self.now >= paused_at:
            return self.transition(Action.PAUSE, judgement)
        until = wave_at if has_more and self.now < wave_at else paused_at
        return Wait("a verdict of the gates", until, judgement)

    def transition(self, action: Action, judgement: Judgement) -> Transition:
        """Return the transition, with what the gates said as its reason."""
        changed = replace(
            self.progress,
            state=follow(self.progress.state, action),
            revision=self.progress.revision + 1,
        )
        if action is Action.WIDEN:
            changed = replace(changed, offered_percentage=self._next_share(), widened_at=self.now)
        elif action is Action.ADVANCE:
            changed = next_step(self.plan, changed, self.now)
        return Transition(
            action=action,
            before=self.progress,
            after=changed,
            at=self.now,
            actor=CONTROLLER,
            reason=judgement.reason,
            judgement=judgement,
        )

    def _next_share(self) -> float:
        """Return what the next wave goes up to; of waves that add nobody, all are taken at once."""
        offered = self._next_offer()
        while offered < self.progress.percentage and self._reaches_nobody_new(offered):
            offered = self._next_offer(offered)
        return offered

    def _next_offer(self, offered: float | None = None) -> float:
        present = self.progress.offered_percentage if offered is None else offered
        return next_offer(self.plan.pacing, replace(self.progress, offered_percentage=present))

    def _reaches_nobody_new(self, offered: float) -> bool:
        """Whether a wave up to a share would add no device; without a count, none to nobody."""
        next_place = self.observation.next_place
        if next_place is not None:
            return threshold(offered) <= next_place
        widened = replace(self.progress, offered_percentage=offered)
        return offered_devices(widened, self.observation.fleet) == 0

    def _after(self, wait_s: float) -> datetime:
        return self.widened_at + timedelta(seconds=wait_s)
