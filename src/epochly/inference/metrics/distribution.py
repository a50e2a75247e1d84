"""Observations in buckets: bounded memory, however many there are."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from operator import add
from typing import Literal, Self


@dataclass(frozen=True, slots=True)
class Exemplar:
    """One observation with the trace, or the request, it belongs to.

    Attributes:
        identifier: of the trace or request.
        value: in the unit of its histogram.
        unix_s: when it was seen, in seconds since 1970; None if that is not known.
        label: what is identified. Dashboards look up a `trace_id` where traces are stored.
    """

    identifier: str
    value: float
    unix_s: float | None = None
    label: Literal["trace_id", "request_id"] = "trace_id"


class Distribution:
    """How often a value fell between each two edges.

    Args:
        bounds: ascending edges; a value belongs to the first edge that is not below it.

    Attributes:
        counts: one count per edge, and one for what is above the last.
        total: the sum of all values.
        exemplars: the newest exemplar of each bucket that has one, by the bucket's index.
    """

    __slots__ = ("bounds", "counts", "exemplars", "total")

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0
        self.exemplars: dict[int, Exemplar] = {}

    def add(self, value: float) -> None:
        """Count one value."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value

    def keep(self, exemplar: Exemplar) -> None:
        """Remember an exemplar in the bucket of its value."""
        self.exemplars[bisect_left(self.bounds, exemplar.value)] = exemplar

    @property
    def count(self) -> int:
        """How many values there were."""
        return sum(self.counts)

    @property
    def mean(self) -> float:
        """The mean value; 0 before the first."""
        return self.total / count if (count := self.count) else 0.0

    def copy(self) -> Self:
        """Return what is known now."""
        twin = type(self)(self.bounds)
        twin.counts = self.counts.copy()
        twin.total = self.total
        twin.exemplars = self.exemplars.copy()
        return twin

    def merge(self, other: "Distribution") -> None:
        """Add all that another distribution with the same bounds has seen."""
        self.counts = list(map(add, self.counts, other.counts))
        self.total += other.total
        self.exemplars |= other.exemplars

    def positions(self, edges: Sequence[float]) -> list[int]:
        """Return how many of the bounds lie at or below each edge."""
        return [bisect_right(self.bounds, edge) for edge in edges]

    def cumulative(self, positions: Sequence[int]) -> list[int]:
        """Count the values at or below each edge, and all of them at the end.

        Args:
            positions: of the edges, from `positions`; all series of a histogram share them.

        Exact where the edge is one of `bounds`; between two of them, what lies below the lower.
        """
        running = list(accumulate(self.counts, initial=0))
        return [running[position] for position in positions] + running[-1:]

    def counts_between(self, edges: Sequence[float]) -> list[int]:
        """Count the values between each two edges, and above the last."""
        running = self.cumulative(self.positions(edges))
        return [n - before for n, before in zip(running, [0, *running[:-1]], strict=True)]

    def quantile(self, share: float) -> float:
        """Estimate a quantile, as if values were spread evenly inside their bucket.

        Args:
            share: 0 to 1.

        Returns:
            The estimate; 0 before the first value, the last edge for what is above it.
        """
        rank, below = share * self.count, 0
        for index, count in enumerate(self.counts[:-1]):
            if count and below + count >= rank:
                floor = self.bounds[index - 1] if index else 0.0
                inside = (rank - below) / count
                return floor + (self.bounds[index] - floor) * inside
            below += count
        return self.bounds[-1] if self.count else 0.0


def together(parts: Iterable[Distribution], bounds: Sequence[float]) -> Distribution:
    """Return all parts as one.

    Args:
        parts: with the same bounds.
        bounds: these.
    """
    every, seen = Distribution(bounds), list(parts)
    if seen:
        every.counts = list(map(sum, zip(*(part.counts for part in seen), strict=True)))
        every.total = sum(part.total for part in seen)
    for part in seen:
        every.exemplars |= part.exemplars
    return every
