"""What counts as worse when versions are compared, and how sure one must be."""

from dataclasses import dataclass, field
from typing import Final

from octomil.quality.tallies import Measure
from octomil.rollouts.limits import Excess

COMPARED: Final = (Measure.TTFC_MS, Measure.AVG_CHUNK_LATENCY_MS)
"""Latencies that do not grow with the length of an answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sensitivity:
    """What counts as worse, and how sure one must be.

    Attributes:
        tolerated_slowdown: relative: 0.02 for 2 % slower.
        failures: by how much the share of generations that fail may be greater.
        false_alarm: greatest probability that a version no worse than tolerated is ever flagged,
            by any finding, however often one looks while generations come.
        classes: of devices that there are.
        minimum_sample: generations of each version below which nothing is said.
        tuned_for: generations of each version at which the test is most powerful.
    """

    tolerated_slowdown: float = 0.02
    failures: Excess = field(default_factory=lambda: Excess(0.01, 0.05))
    false_alarm: float = 0.05
    classes: int
    minimum_sample: int = 100
    tuned_for: int = 1_000

    @property
    def of_one(self) -> float:
        """The part of the chance of a false alarm that each finding has."""
        return self.false_alarm / (self.classes * (len(COMPARED) + 1))
