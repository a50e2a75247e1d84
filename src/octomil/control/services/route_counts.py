"""Decisions where models run: counted in memory, written in batches."""

from collections.abc import Mapping
from dataclasses import dataclass
from threading import Lock

from octomil.control.ports import OutcomeUnknownError, Store
from octomil.control.records import RouteTally


@dataclass(frozen=True, slots=True)
class Counted:
    """What is counted together."""

    organisation: str
    model_id: str
    target: str
    reason: str


Counts = Mapping[Counted, tuple[int, int]]
"""How many decisions, and how many microseconds they took together."""


class RouteCounts:
    """Counts decisions, in whichever thread; a crash loses what was not written yet.

    Args:
        store: where the counts go.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._noted: dict[Counted, tuple[int, int]] = {}
        self._lock = Lock()

    def __len__(self) -> int:
        return sum(decisions for decisions, _ in self._noted.values())

    def note(self, what: Counted, latency_us: int) -> None:
        """Count a decision."""
        with self._lock:
            decisions, total_us = self._noted.get(what, (0, 0))
            self._noted[what] = decisions + 1, total_us + latency_us

    def take(self) -> Counts:
        """Return what was counted since the last time."""
        with self._lock:
            noted, self._noted = self._noted, {}
        return noted

    def write(self, noted: Counts) -> None:
        """Write counts down, all at once."""
        if noted:
            with self._store.system() as tx:
                ordered = sorted(noted, key=_order)  # in one order no two replicas lock each other
                tx.add_route_tallies(
                    (each.organisation, _tally(each, noted[each])) for each in ordered
                )

    def put_back(self, noted: Counts, error: BaseException) -> None:
        """Keep counts that were not written for the next time.

        Args:
            noted: the counts.
            error: why they were not. Where nobody knows whether they were, they are dropped: what
                is told is never more than what was decided.
        """
        if isinstance(error, OutcomeUnknownError):
            return
        with self._lock:
            for what, (decisions, total_us) in noted.items():
                later = self._noted.get(what, (0, 0))
                self._noted[what] = decisions + later[0], total_us + later[1]


def _order(what: Counted) -> tuple[str, ...]:
    return what.organisation, what.model_id, what.target, what.reason


def _tally(what: Counted, counts: tuple[int, int]) -> RouteTally:
    decisions, latency_us = counts
    return RouteTally(
        model_id=what.model_id,
        target=what.target,
        reason=what.reason,
        decisions=decisions,
        latency_us=latency_us,
    )
