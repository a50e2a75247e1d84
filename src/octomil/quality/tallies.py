"""Generations counted by how they ended, with sketches of what was measured of them."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from octomil.quality.sketches import Sketch, SketchSum


class Outcome(StrEnum):
    """What became of a generation; each is counted by itself, as each is told by itself."""

    STARTED = "started"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


class Measure(StrEnum):
    """What is measured of one generation, by the names that its events give it."""

    TTFC_MS = "ttfc_ms"
    AVG_CHUNK_LATENCY_MS = "avg_chunk_latency_ms"
    TOTAL_DURATION_MS = "total_duration_ms"
    THROUGHPUT = "throughput"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """Generations of one kind in some time; what is missing in a mapping is nothing."""

    outcomes: Mapping[Outcome, int] = field(default_factory=dict)
    sketches: Mapping[Measure, Sketch] = field(default_factory=dict)

    def number(self, outcome: Outcome) -> int:
        """Return how many had an outcome."""
        return self.outcomes.get(outcome, 0)

    def sketch(self, measure: Measure) -> Sketch:
        """Return what was measured; empty if nothing was."""
        return self.sketches.get(measure) or Sketch()


def tally_of(outcome: Outcome, measured: Mapping[Measure, float]) -> Tally:
    """Return the tally of one event."""
    found = {measure: Sketch.of([value]) for measure, value in measured.items()}
    return Tally(outcomes={outcome: 1}, sketches=found)


class TallySum:
    """Tallies added up one by one, in the memory of one."""

    __slots__ = ("_outcomes", "_sketches")

    def __init__(self) -> None:
        self._outcomes: Counter[Outcome] = Counter()
        self._sketches: dict[Measure, SketchSum] = defaultdict(SketchSum)

    def add(self, part: Tally) -> None:
        """Add the generations of a tally."""
        self._outcomes.update(part.outcomes)
        for measure, sketch in part.sketches.items():
            self._sketches[measure].add(sketch)

    def whole(self) -> Tally:
        """Return what was added so far, as one tally."""
        sketches = {measure: each.whole() for measure, each in self._sketches.items()}
        return Tally(outcomes=dict(self._outcomes), sketches=sketches)


def together(tallies: Iterable[Tally]) -> Tally:
    """Return all tallies as one."""
    whole = TallySum()
    for tally in tallies:
        whole.add(tally)
    return whole.whole()
