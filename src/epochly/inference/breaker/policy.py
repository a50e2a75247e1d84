"""When a breaker opens, for how long, and what counts as a failure: pure functions, no state."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice

from epochly.errors import ConfigurationError

_MOST_DOUBLINGS = 60  # beyond it only the cap matters, and a float would overflow in the end


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakerPolicy:
    """The thresholds of a circuit breaker. Count window and half-open limit follow resilience4j.

    Attributes:
        failure_threshold: consecutive failures that open; None: these alone never open.
        failure_rate: share of failures among the last `window_calls` that opens, in (0, 1]; None:
            the rate never opens. It is judged whenever a failure is recorded.
        window_calls: outcomes that are remembered.
        minimum_calls: outcomes without which the rate says nothing.
        recovery_timeout_s: seconds open before the first probe; doubled by every reopening.
        max_recovery_timeout_s: what doubling ends at, before jitter.
        jitter: share by which each wait is lengthened or shortened at random, so that many
            breakers do not probe in step.
        half_open_probes: probes that are admitted while half open, and that must all succeed.
        probe_timeout_s: seconds after which a probe that has not returned counts as failed.
        slow_call_s: seconds from which a guarded call counts as failed although it succeeded.

    Raises:
        ConfigurationError: a value makes no sense.
    """

    failure_threshold: int | None = 5
    failure_rate: float | None = 0.5
    window_calls: int = 100
    minimum_calls: int = 20
    recovery_timeout_s: float = 30.0
    max_recovery_timeout_s: float = 600.0
    jitter: float = 0.2
    half_open_probes: int = 1
    probe_timeout_s: float = 60.0
    slow_call_s: float | None = None

    def __post_init__(self) -> None:
        if self.window_calls < 1:
            raise ConfigurationError(f"window_calls must be 1 or more, got {self.window_calls}")
        for name in ("failure_threshold", "minimum_calls"):
            value = getattr(self, name)
            if value is not None and not 1 <= value <= self.window_calls:
                raise ConfigurationError(
                    f"{name} must be from 1 to window_calls ({self.window_calls}), got {value}"
                )
        if self.failure_rate is not None and not 0 < self.failure_rate <= 1:
            raise ConfigurationError(
                f"failure_rate must be above 0 and at most 1, got {self.failure_rate}"
            )
        if self.half_open_probes < 1:
            raise ConfigurationError(
                f"half_open_probes must be 1 or more, got {self.half_open_probes}"
            )
        if not 0 <= self.jitter < 1:
            raise ConfigurationError(f"jitter must be at least 0 and below 1, got {self.jitter}")
        for name in ("recovery_timeout_s", "probe_timeout_s", "slow_call_s"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise ConfigurationError(f"{name} must be above 0 seconds, got {value}")
        if not self.max_recovery_timeout_s >= self.recovery_timeout_s:
            raise ConfigurationError(
                f"max_recovery_timeout_s ({self.max_recovery_timeout_s}) must not be below "
                f"recovery_timeout_s ({self.recovery_timeout_s})"
            )

    def reason_to_open(self, failed: Sequence[bool]) -> str | None:
        """Say why these outcomes open the breaker, or None where they do not.

        Args:
            failed: the last outcomes, oldest first, at most `window_calls`; True is a failure.

        Example:
            >>> BreakerPolicy(failure_threshold=3).reason_to_open([False, True, True, True])
            '3 consecutive failures'
        """
        row = self.failure_threshold
        if row is not None and len(failed) >= row and all(islice(reversed(failed), row)):
            return f"{row} consecutive failures"
        if self.failure_rate is None or len(failed) < self.minimum_calls:
            return None
        failures = failed.count(True)
        if failures < self.failure_rate * len(failed):
            return None
        return f"{failures} of the last {len(failed)} calls failed"

    def recovery_s(self, reopenings: int, random: float) -> float:
        """Return how many seconds to stay open.

        Args:
            reopenings: how often the breaker has opened again without recovering.
            random: a number from 0 to 1, drawn by the caller.
        """
        doubled_s = self.recovery_timeout_s * 2.0 ** min(reopenings, _MOST_DOUBLINGS)
        return min(doubled_s, self.max_recovery_timeout_s) * (1 + self.jitter * (2 * random - 1))


def any_exception(_: Exception) -> bool:
    """Let every exception speak against the callee."""
    return True


def ignoring(*errors: type[Exception]) -> Callable[[Exception], bool]:
    """Make an `is_failure` for which errors of these classes say nothing about the callee.

    They are the caller's own: a malformed request, a missing permission.
    """
    return lambda error: not isinstance(error, errors)
