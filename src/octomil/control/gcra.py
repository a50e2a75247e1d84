"""The generic cell rate algorithm: a token bucket whose whole state is one moment. Pure.

After ITU-T I.371, annex A. The moment is when the bucket is full again; a request moves it by what
a token takes to drip in, and is refused if that would be more than a whole bucket ahead.
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

from octomil.errors import ConfigurationError

_UNITS_S = {"s": 1, "m": 60, "h": 3600}


@dataclass(frozen=True, slots=True)
class RateLimit:
    """How often something may be done.

    Attributes:
        requests: as many at once, and then in each window.
        window_s: seconds.
    """

    requests: int
    window_s: int

    @classmethod
    def parse(cls, text: str) -> "RateLimit | None":
        """Read `100/m`, or `off` for no limit.

        Raises:
            ConfigurationError: it is neither.

        Example:
            >>> RateLimit.parse("100/m")
            RateLimit(requests=100, window_s=60)
        """
        if text == "off":
            return None
        number, _, unit = text.partition("/")
        if not (number.isascii() and number.isdigit() and int(number) and unit in _UNITS_S):
            raise ConfigurationError(
                f"{text!r} is no rate limit; write 100/s, 100/m, 100/h, or off"
            )
        return cls(int(number), _UNITS_S[unit])

    def __str__(self) -> str:
        unit = next(unit for unit, seconds in _UNITS_S.items() if seconds == self.window_s)
        return f"{self.requests}/{unit}"

    @property
    def interval_s(self) -> float:
        """Seconds that a token takes to drip in."""
        return self.window_s / self.requests


class Decision(NamedTuple):
    """What becomes of a request.

    Attributes:
        remaining: so many more would pass right now.
        reset_s: seconds until the bucket is full again.
        retry_after_s: seconds until the next one passes; 0 for one that passes itself.
    """

    limit: RateLimit
    allowed: bool
    remaining: int
    reset_s: float
    retry_after_s: float


def decide(limit: RateLimit, full_at_s: float, now_s: float) -> tuple[float, Decision]:
    """Return when the bucket is full again, and what becomes of a request.

    Args:
        limit: how often.
        full_at_s: when the bucket is full again as far as is known; 0 for an unused one.
        now_s: by the same clock.
    """
    moved_s = max(full_at_s, now_s) + limit.interval_s
    early_s = moved_s - now_s - limit.window_s
    allowed = early_s <= 1e-9
    kept_s = moved_s if allowed else full_at_s
    return kept_s, described(limit, kept_s - now_s, allowed=allowed)


def described(limit: RateLimit, ahead_s: float, *, allowed: bool) -> Decision:
    """Return the decision that leaves a bucket `ahead_s` seconds from full."""
    remaining = max(0, math.floor((limit.window_s - ahead_s) / limit.interval_s + 1e-9))
    wait_s = 0.0 if allowed else max(0.0, ahead_s + limit.interval_s - limit.window_s)
    return Decision(limit, allowed, remaining, max(0.0, ahead_s), wait_s)
