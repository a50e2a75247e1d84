"""A circuit breaker in front of each engine: what is known to be down costs nobody a wait."""

import time
from collections.abc import Callable
from dataclasses import replace
from types import TracebackType
from typing import Self

from epochly.inference.breaker import (
    BreakerPolicy,
    BreakerState,
    CircuitBreaker,
    Permit,
    Transition,
)
from epochly.inference.metrics.instruments import Counter
from octomil.errors import (
    EngineCrashedError,
    EngineUnavailableError,
    GenerationError,
    SpendCapReachedError,
)

POLICY = BreakerPolicy(
    failure_threshold=5,
    recovery_timeout_s=5.0,
    max_recovery_timeout_s=60.0,
    probe_timeout_s=300.0,  # a long answer that is not streamed shows nothing before its end
)

_NEVER = replace(POLICY, failure_threshold=None, failure_rate=None)

STATE_NUMBERS = {
    BreakerState.DISABLED: 0,
    BreakerState.CLOSED: 0,
    BreakerState.HALF_OPEN: 1,
    BreakerState.OPEN: 2,
    BreakerState.FORCED_OPEN: 2,
}
"""How `octomil:breaker_state` shows a state."""

_FAULTS = (EngineUnavailableError, EngineCrashedError, GenerationError)
_SHUT = (BreakerState.OPEN, BreakerState.FORCED_OPEN)


def policy(failures: int) -> BreakerPolicy:
    """Return the policy that opens after so many failures in a row; 0 never opens."""
    return replace(POLICY, failure_threshold=failures) if failures else _NEVER


def speaks_against_engine(error: BaseException) -> bool:
    """Tell whether an error is the engine's fault.

    The client's own faults, an unsure answer, a full queue, a spent budget and a cancellation say
    nothing about it.
    """
    return isinstance(error, _FAULTS) and not isinstance(error, SpendCapReachedError)


class Call:
    """One call of an engine, made by `Breakers.call`; it counts by how the `with` block ends."""

    __slots__ = ("_breaker", "_permit")

    def __init__(self, breaker: CircuitBreaker) -> None:
        self._breaker = breaker
        self._permit: Permit | None = None

    @property
    def is_probe(self) -> bool:
        """Whether the call is to find out if the engine has recovered."""
        return self._permit is not None and self._permit.is_probe

    def answered(self) -> None:
        """End a probe well, because the answer has begun; the rest is a call like any other."""
        if self._permit is not None and self._permit.is_probe:
            self._breaker.record_success(self._permit)
            self._permit = self._breaker.allow()

    def __enter__(self) -> Self:
        """Admit the call.

        Raises:
            EngineUnavailableError: the breaker is open.
        """
        self._permit = self._breaker.allow()
        if self._permit is None:
            raise _refusal(self._breaker)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Count the call; the exception goes on its way."""
        breaker, permit = self._breaker, self._permit
        if permit is None:
            return
        if error is None:
            breaker.record_success(permit)
        elif speaks_against_engine(error):
            breaker.record_failure(permit, str(error))
        else:
            breaker.release(permit)


class Breakers:
    """The breakers by model, each made when it is first looked at.

    Args:
        policy: when they open, and for how long.
        clock: monotonic seconds.

    Attributes:
        transitions: how often each breaker went to which state, for exposition.
    """

    def __init__(
        self, policy: BreakerPolicy = POLICY, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._policy = policy
        self._clock = clock
        self._breakers: dict[str, CircuitBreaker] = {}
        self.transitions = Counter(
            "octomil:breaker_transitions_total",
            "How often an engine's breaker went to a state.",
            ("model_name", "to"),
        )

    def call(self, name: str) -> Call:
        """Return a context manager for one call of a model's engine."""
        return Call(self._breaker(name))

    def require(self, name: str) -> None:
        """Check, before a request waits for its turn, that the engine may be asked.

        Raises:
            EngineUnavailableError: its breaker is open; `retry_after_s` says for how long.
        """
        if not self.admits(name):
            raise _refusal(self._breaker(name))

    def admits(self, name: str) -> bool:
        """Tell whether a model's breaker lets calls through, be it only a probe."""
        return self.state(name) not in _SHUT

    def state(self, name: str) -> BreakerState:
        """Return the state of a model's breaker."""
        return self._breaker(name).state

    def engine_is_ready(self, name: str) -> None:
        """Forget what a model's engine did before it was loaded anew."""
        breaker = self._breakers.get(name)
        if breaker is not None:
            breaker.reset("the engine was loaded anew")

    def _breaker(self, name: str) -> CircuitBreaker:
        breaker = self._breakers.get(name)
        if breaker is None:
            breaker = CircuitBreaker(name, self._policy, clock=self._clock)
            breaker.on_transition(self._count)
            self._breakers[name] = breaker
        return breaker

    def _count(self, transition: Transition) -> None:
        if transition.before is not transition.after:
            self.transitions.add(1, transition.breaker, str(transition.after))


def _refusal(breaker: CircuitBreaker) -> EngineUnavailableError:
    found = breaker.snapshot()
    wait_s = 1.0 if found.retry_after_s is None else found.retry_after_s
    return EngineUnavailableError(
        f"model {breaker.name!r} is not asked for now, because it kept failing ({found.reason})",
        retry_after_s=wait_s,
    )
