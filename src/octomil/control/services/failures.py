"""Who shows wrong keys and tokens too often, by client address.

To find out that a credential is wrong takes a look into the database, which anybody may cause. Only
failures count, so that thousands of devices behind one address do not stand in each other's way.
"""

import math
from collections.abc import Callable
from time import monotonic

from octomil.control.gcra import RateLimit
from octomil.control.services.rate_limits import LocalLimits
from octomil.errors import RateLimitedError


class FailedCredentials:
    """Counts failures here, for this replica alone; used from one event loop.

    Args:
        limit: how often an address may fail; None for as often as it likes.
        clock_s: a clock that never goes back, in seconds.
    """

    def __init__(self, limit: RateLimit | None, clock_s: Callable[[], float] = monotonic) -> None:
        self._limit = limit
        self._buckets = LocalLimits(clock_s)

    def require_few(self, address: str) -> None:
        """Return if an address has not failed too often of late.

        Raises:
            RateLimitedError: it has.
        """
        if self._limit is None:
            return
        decision = self._buckets.look(address, self._limit)
        if not decision.allowed:
            wait_s = math.ceil(decision.retry_after_s)
            raise RateLimitedError(
                f"too many wrong keys or tokens came from {address}; come back in {wait_s} s",
                {"retry_after_s": wait_s},
            )

    def note(self, address: str) -> None:
        """Count a failure."""
        if self._limit is not None:
            self._buckets.take(address, self._limit)
