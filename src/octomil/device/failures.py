"""What went wrong, how often in a row, and when to try it again."""

from collections.abc import Callable, Hashable
from dataclasses import dataclass

_FORGOTTEN_S = 3600.0  # so long after another try was due, nobody wants it any more
_DOUBLINGS = 16


@dataclass(frozen=True, slots=True)
class _Failure:
    number: int
    retry_at_s: float


class Failures:
    """Failures in a row of whatever has a key; each doubles the patience with it.

    Args:
        first_s: half of the patience after the first failure.
        clock: tells monotonic seconds.
    """

    def __init__(self, first_s: float, clock: Callable[[], float]) -> None:
        self._first_s = first_s
        self._clock = clock
        self._failures: dict[Hashable, _Failure] = {}

    def is_due(self, key: Hashable) -> bool:
        """Tell whether it may be tried: it did not fail, or long enough ago."""
        failure = self._failures.get(key)
        return failure is None or self._clock() >= failure.retry_at_s

    def note(self, key: Hashable, longest_s: float) -> None:
        """Note that it failed once more; it may be tried again after `longest_s` at the latest."""
        now_s, before = self._clock(), self._failures.get(key)
        number = 1 if before is None else before.number + 1
        wait_s = min(longest_s, self._first_s * 2 ** min(number, _DOUBLINGS))
        wanted = {
            other: failure
            for other, failure in self._failures.items()
            if now_s < failure.retry_at_s + _FORGOTTEN_S
        }
        self._failures = {**wanted, key: _Failure(number, now_s + wait_s)}

    def forget(self, *keys: Hashable) -> None:
        """Forget failures: it worked."""
        for key in keys:
            self._failures.pop(key, None)
