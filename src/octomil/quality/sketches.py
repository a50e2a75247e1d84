"""Values summed up in bounded memory, so that sums add up and quantiles have a stated error.

The buckets are those of DDSketch (Masson, Rim and Lee, "DDSketch: a fast and fully-mergeable
quantile sketch with relative-error guarantees", 2019): each is wider than the one before by the
same factor. The sums of the logarithms are kept beside them, exactly, for tests of means.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

RELATIVE_ERROR: Final = 0.01
"""A quantile is at most so far from the value that has its rank, relative to that value."""

LEAST: Final = 1e-3
MOST: Final = 1e9
"""Values outside of these two count as the nearer one: of milliseconds, a microsecond, 11 days."""

_GROWTH: Final = (1 + RELATIVE_ERROR) / (1 - RELATIVE_ERROR)
_LOG_GROWTH: Final = math.log(_GROWTH)


@dataclass(frozen=True, slots=True)
class Sketch:
    """Some values; at most 1,400 buckets, however many there are.

    Attributes:
        counts: how many values lie in each bucket that has any, by its index.
        log_sum: of the values' natural logarithms.
        log_square_sum: of the squares of these.

    Example:
        >>> together([Sketch.of([10.0, 20.0]), Sketch.of([30.0])]).quantile(0.5)
        19.88...
    """

    counts: Mapping[int, int] = field(default_factory=dict)
    log_sum: float = 0.0
    log_square_sum: float = 0.0

    @classmethod
    def of(cls, values: Iterable[float]) -> "Sketch":
        """Sum values up; none is negative."""
        logs = [math.log(min(max(value, LEAST), MOST)) for value in values]
        counts = Counter(math.ceil(log / _LOG_GROWTH) for log in logs)
        return cls(dict(counts), math.fsum(logs), math.fsum(log * log for log in logs))

    @property
    def count(self) -> int:
        """How many values there are."""
        return sum(self.counts.values())

    def quantile(self, share: float) -> float | None:
        """Return the value below or at which that share of all lies; None where there is none.

        Args:
            share: 0 to 1; the rank is rounded up, so that 0.5 of two values is the smaller.
        """
        rank, below = math.ceil(share * self.count), 0
        for index in sorted(self.counts):
            below += self.counts[index]
            if below >= rank:
                return 2 * _GROWTH**index / (_GROWTH + 1)
        return None


class SketchSum:
    """Sketches added up one by one, in the memory of one."""

    __slots__ = ("_counts", "_log_square_sum", "_log_sum")

    def __init__(self) -> None:
        self._counts: defaultdict[int, int] = defaultdict(int)
        self._log_sum = self._log_square_sum = 0.0

    def add(self, part: Sketch) -> None:
        """Add the values of a sketch."""
        counts = self._counts
        for index, count in part.counts.items():
            counts[index] += count
        self._log_sum += part.log_sum
        self._log_square_sum += part.log_square_sum

    def whole(self) -> Sketch:
        """Return what was added so far, as one sketch."""
        return Sketch(dict(self._counts), self._log_sum, self._log_square_sum)


def together(parts: Iterable[Sketch]) -> Sketch:
    """Return all parts as one; the same as of all their values, in whatever order."""
    whole = SketchSum()
    for part in parts:
        whole.add(part)
    return whole.whole()
