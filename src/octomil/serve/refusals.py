"""Refused keys in the audit log: the first are listed, and of a flood the rest are counted."""

import time
from collections.abc import Callable

LIMIT = 20
PERIOD_S = 60.0


class Refusals:
    """Decides which refused keys get a record of their own.

    A period begins with the first refused key after the one before it is over.

    Args:
        limit: how many are listed in a period.
        period_s: its length in seconds.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        limit: int = LIMIT,
        period_s: float = PERIOD_S,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._limit = limit
        self._period_s = period_s
        self._clock = clock
        self._ends_s = clock()
        self._listed = self._unlisted = 0

    def lists(self) -> bool:
        """Note a refused key, and tell whether it gets a record of its own."""
        now_s = self._clock()
        if now_s >= self._ends_s:
            self._ends_s, self._listed = now_s + self._period_s, 0
        if self._listed < self._limit:
            self._listed += 1
            return True
        self._unlisted += 1
        return False

    def take_unlisted(self, *, is_end: bool = False) -> int:
        """Return, once, how many got no record of their own; 0 while their period goes on.

        Args:
            is_end: whether no more will come, so that there is no period to wait for.
        """
        if not self._unlisted or (not is_end and self._clock() < self._ends_s):
            return 0
        unlisted, self._unlisted = self._unlisted, 0
        return unlisted
