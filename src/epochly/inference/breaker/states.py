"""What a breaker shows of itself: its states, its transitions, its permits."""

from collections import deque
from dataclasses import dataclass
from enum import StrEnum


class BreakerState(StrEnum):
    """Whether calls are admitted, and who decided it.

    The first three follow from outcomes and time. The last two were set by hand; only `reset`
    leaves them.
    """

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"
    FORCED_OPEN = "forced_open"
    DISABLED = "disabled"


class Permit:
    """Leave to make one call; it goes back to the breaker with the call's outcome.

    Every call of one closed generation shares one permit, which costs nothing to hand out; a probe
    has its own. The outcomes of a generation live in its permit: a late one is written where
    nobody looks any more, so that it can neither open nor close the breaker.
    """

    __slots__ = ("generation", "window")

    def __init__(self, generation: int, window: deque[bool] | None) -> None:
        self.generation = generation
        self.window = window

    @property
    def is_probe(self) -> bool:
        """Whether the call finds out if the circuit has recovered."""
        return self.window is None


@dataclass(frozen=True, slots=True)
class Transition:
    """A breaker went from one state to another.

    Attributes:
        breaker: the breaker's name.
        generation: the number of this transition; it orders what threads deliver.
        at_s: when, by the breaker's clock.
        reason: why, for people.
    """

    breaker: str
    generation: int
    before: BreakerState
    after: BreakerState
    at_s: float
    reason: str


@dataclass(frozen=True, slots=True)
class BreakerSnapshot:
    """Where a breaker stands, for metrics and for `explain`.

    Attributes:
        generation: how many transitions there were.
        reason: why it is in this state; empty before the first transition.
        state_age_s: seconds in this state.
        retry_after_s: seconds after which a call may be admitted, 0 where one is now; None where
            the breaker was opened by hand.
        window_calls: outcomes remembered of this generation.
        window_failures: how many of them are failures.
        consecutive_failures: failures since the last success.
        reopenings: how often it has opened again without recovering; each doubles the wait.
        probes_in_flight: probes that have not returned.
        opened_total: times it opened.
        rejected_total: calls it did not admit.
    """

    name: str
    state: BreakerState
    generation: int
    reason: str
    state_age_s: float
    retry_after_s: float | None
    window_calls: int
    window_failures: int
    consecutive_failures: int
    reopenings: int
    probes_in_flight: int
    opened_total: int
    rejected_total: int

    @property
    def failure_rate(self) -> float:
        """Share of failures in the window; 0 while it is empty."""
        return self.window_failures / self.window_calls if self.window_calls else 0.0
