"""The circuit breaker: stops calling what keeps failing, and finds out when it has recovered."""

from epochly.errors import CircuitOpenError
from epochly.inference.breaker.circuit import CircuitBreaker
from epochly.inference.breaker.guard import Guard
from epochly.inference.breaker.policy import BreakerPolicy, ignoring
from epochly.inference.breaker.states import BreakerSnapshot, BreakerState, Permit, Transition

__all__ = [
    "BreakerPolicy",
    "BreakerSnapshot",
    "BreakerState",
    "CircuitBreaker",
    "CircuitOpenError",
    "Guard",
    "Permit",
    "Transition",
    "ignoring",
]
