"""Where a rollout stands, and how it came there.

```
pending ──► active ◄──► paused
   │          │ │          │
   │          │ └──► completed
   │          │          │ │
   └──────────┴──────────┴─┴──► rolled_back
              │          │
              └──────────┴────► failed
```

An active rollout stays active while its step, its share or what is offered of it changes. A share
that is lowered pauses it, or the next pass of the gates would raise the share again. While a
rollout is open, its version can be neither deprecated nor removed. It fails if it cannot be carried
out whatever the devices say: a file of its version is lost.
Each change is one `Transition`; it is stored only if the progress that it starts from is still the
one in the store, by its revision, so that of two that act at once one has no effect.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from octomil.rollouts.findings import Judgement

CONTROLLER: Final = "controller"
"""The actor of what happens by itself."""


class RolloutState(StrEnum):
    """Where a rollout stands."""

    PENDING = "pending"
    ACTIVE = "active"
    PAUSED = "paused"
    COMPLETED = "completed"
    ROLLED_BACK = "rolled_back"
    FAILED = "failed"

    @property
    def is_open(self) -> bool:
        """Whether it may still offer its version to somebody new; of a model, one may."""
        return self in _OPEN

    @property
    def is_under_way(self) -> bool:
        """Whether something may come of it by itself: also of a pause, which a breach ends."""
        return self in _UNDER_WAY


_UNDER_WAY: Final = frozenset({RolloutState.ACTIVE, RolloutState.PAUSED})
_OPEN: Final = frozenset({RolloutState.PENDING, RolloutState.ACTIVE, RolloutState.PAUSED})


class Action(StrEnum):
    """What changes a rollout."""

    START = "start"
    WIDEN = "widen"
    ADVANCE = "advance"
    SET_PERCENTAGE = "set_percentage"
    LOWER = "lower"
    PAUSE = "pause"
    RESUME = "resume"
    COMPLETE = "complete"
    ROLL_BACK = "roll_back"
    FAIL = "fail"


_PENDING, _ACTIVE, _PAUSED = RolloutState.PENDING, RolloutState.ACTIVE, RolloutState.PAUSED

TRANSITIONS: Final[Mapping[Action, Mapping[RolloutState, RolloutState]]] = {
    Action.START: {_PENDING: _ACTIVE},
    Action.WIDEN: {_ACTIVE: _ACTIVE},
    Action.ADVANCE: {_PENDING: _ACTIVE, _ACTIVE: _ACTIVE},
    Action.SET_PERCENTAGE: {_ACTIVE: _ACTIVE, _PAUSED: _PAUSED},
    Action.LOWER: dict.fromkeys((_ACTIVE, _PAUSED), _PAUSED),
    Action.PAUSE: {_ACTIVE: _PAUSED},
    Action.RESUME: {_PAUSED: _ACTIVE},
    Action.COMPLETE: {_ACTIVE: RolloutState.COMPLETED},
    Action.ROLL_BACK: dict.fromkeys((*_OPEN, RolloutState.COMPLETED), RolloutState.ROLLED_BACK),
    Action.FAIL: dict.fromkeys((_ACTIVE, _PAUSED), RolloutState.FAILED),
}
"""Where each action leads from where; what is not here is refused."""


class TransitionError(ValueError):
    """A rollout cannot do that from where it stands; the message names both."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """Where a rollout stands.

    Attributes:
        step: 0 before the start, 1 for the first; every step has evidence of its own.
        base_percentage: share of the fleet that was offered the version when the step began.
        percentage: share that the step goes up to.
        offered_percentage: share that is offered the version now; it grows inside the step.
        began_at: when the step began; what was seen before is no evidence for it.
        widened_at: when `offered_percentage` changed last, or the rollout went on after a pause.
        revision: one more for every transition.
    """

    state: RolloutState = RolloutState.PENDING
    step: int = 0
    base_percentage: float = 0.0
    percentage: float = 0.0
    offered_percentage: float = 0.0
    began_at: datetime | None = None
    widened_at: datetime | None = None
    revision: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Transition:
    """One change of a rollout: an entry of its history.

    Attributes:
        actor: who did it; `CONTROLLER` if nobody.
        reason: why.
        judgement: what the gates said, if they were asked.
    """

    action: Action
    before: Progress
    after: Progress
    at: datetime
    actor: str
    reason: str
    judgement: Judgement | None = None

    @property
    def blocks(self) -> bool:
        """Whether the version must not be rolled out again until somebody lifts that."""
        return self.action is Action.ROLL_BACK and self.actor == CONTROLLER

    @property
    def offers_to_more(self) -> bool:
        """Whether devices are sent for the version that were not offered it before."""
        return self.after.offered_percentage > self.before.offered_percentage


def follow(present: RolloutState, action: Action) -> RolloutState:
    """Return where an action leads.

    Raises:
        TransitionError: it leads nowhere from there.

    Example:
        >>> follow(RolloutState.ACTIVE, Action.PAUSE).value
        'paused'
    """
    found = TRANSITIONS[action].get(present)
    if found is None:
        raise TransitionError(
            f"cannot {action.replace('_', ' ')}: the rollout is "
            f"{present.replace('_', ' ')}{_HINTS.get((present, action), '')}"
        )
    return found


_HINTS: Final = {
    (_PAUSED, Action.ADVANCE): "; resume it first",
    (_PENDING, Action.SET_PERCENTAGE): "; start it first",
    (_PENDING, Action.LOWER): "; start it first",
    (_PENDING, Action.PAUSE): "; it offers nothing yet",
    (RolloutState.ROLLED_BACK, Action.RESUME): "; begin another",
    (RolloutState.ROLLED_BACK, Action.START): "; begin another",
    (RolloutState.FAILED, Action.RESUME): "; begin another",
    (RolloutState.FAILED, Action.START): "; begin another",
    (RolloutState.FAILED, Action.ROLL_BACK): "; devices went back then already",
}
