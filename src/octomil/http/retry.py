"""When to try again, and how long to wait: the one back-off policy of every client.

The policy is pure arithmetic; :class:`Retries` drives it with a sleep and a source of randomness.
"""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

RETRYABLE_STATUSES = frozenset({408, 425, 429, 500, 502, 503, 504})


class TemporaryHttpError(Exception):
    """A request failed in a way that another try may cure.

    Attributes:
        retry_after_s: seconds the server asked to wait; None where it did not say.
    """

    def __init__(self, message: str, *, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


@dataclass(frozen=True, kw_only=True)
class Backoff:
    """Exponential back-off with full jitter, bounded in number and in length.

    A server's Retry-After wins over the computed delay, up to `longest_s`: a server that asks for
    an hour is better answered by an error now than by an hour of silence.
    """

    attempts: int = 5
    first_s: float = 0.5
    longest_s: float = 30.0

    def delay_s(self, failures: int, *, retry_after_s: float | None, jitter: float) -> float | None:
        """Seconds to wait after the `failures`-th failure in a row, or None to give up.

        Args:
            failures: failures in a row so far, from 1.
            retry_after_s: what the server asked for.
            jitter: a random number in [0, 1).
        """
        if failures >= self.attempts:
            return None
        if retry_after_s is not None:
            return retry_after_s if retry_after_s <= self.longest_s else None
        ceiling_s: float = min(self.longest_s, self.first_s * 2 ** (failures - 1))
        return ceiling_s * (0.5 + jitter / 2)


class Retries:
    """Counts failures in a row and waits between tries."""

    def __init__(
        self,
        backoff: Backoff,
        *,
        sleep: Callable[[float], None] = time.sleep,
        rng: random.Random | None = None,
        on_wait: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._backoff = backoff
        self._sleep = sleep
        self._rng = rng or random.Random()
        self._on_wait = on_wait
        self._failures = 0

    def succeeded(self) -> None:
        """Forget earlier failures: something arrived."""
        self._failures = 0

    def wait(self, failure: TemporaryHttpError) -> None:
        """Sleep before the next try.

        Raises:
            TemporaryHttpError: `failure` itself, when no try is left.
        """
        self._failures += 1
        delay_s = self._backoff.delay_s(
            self._failures, retry_after_s=failure.retry_after_s, jitter=self._rng.random()
        )
        if delay_s is None:
            raise failure
        self._on_wait(f"{failure}; trying again in {delay_s:.1f} s")
        self._sleep(delay_s)


def parse_retry_after(value: str | None, *, now: datetime | None = None) -> float | None:
    """Seconds a ``Retry-After`` header asks for; None where it is absent or unreadable.

    Both forms of RFC 9110 section 10.2.3 are read: a number of seconds and an HTTP date.
    """
    if not value:
        return None
    if value.strip().isdecimal():
        return float(value)
    try:
        moment = parsedate_to_datetime(value)
    except (ValueError, OverflowError):
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, (moment - (now or datetime.now(UTC))).total_seconds())
