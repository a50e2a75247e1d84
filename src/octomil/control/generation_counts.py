"""What clients told this replica of generations, for `/metrics`."""

from collections.abc import Iterator, Mapping
from threading import Lock

from epochly.inference.metrics.buckets import FIRST_TOKEN_S, GENERATION_S, OUTPUT_TOKEN_S
from epochly.inference.metrics.instruments import Counter, Histogram, Metric
from octomil.control.last_heard import Labels, LastHeard
from octomil.control.records import Subject
from octomil.quality.tallies import Measure, Outcome

MAX_SERIES = 200
"""So many models' versions on classes of devices are told apart."""
MAX_OF_ONE = 40
"""So many of these may one organisation have: clients name them as they like."""

_LABELS = ("model", "version", "device_class")
_CHUNKS_PER_S = (1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1_000.0)
_S_PER_MS = 1e-3


class GenerationCounts:
    """Generations by outcome, and how long they took."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._heard = LastHeard(MAX_OF_ONE, MAX_SERIES)
        self._ignored = Counter(
            "octomil:control_generation_events_ignored_total",
            "Events of generations that were not counted: their type is not known, or there is no "
            "room for their model, version and class.",
            ("reason",),
        )
        self._outcomes = Counter(
            "octomil:control_generations_total",
            "What clients told of generations, by outcome.",
            (*_LABELS, "outcome"),
            max_series=MAX_SERIES * len(Outcome),
        )
        self._measures = {
            Measure.TTFC_MS: _histogram(
                "first_chunk_seconds", "Time to the first chunk.", FIRST_TOKEN_S
            ),
            Measure.AVG_CHUNK_LATENCY_MS: _histogram(
                "chunk_latency_seconds", "Mean time between two chunks.", OUTPUT_TOKEN_S
            ),
            Measure.TOTAL_DURATION_MS: _histogram(
                "duration_seconds", "Time to the end.", GENERATION_S
            ),
            Measure.THROUGHPUT: _histogram(
                "throughput_chunks_per_second", "Chunks per second.", _CHUNKS_PER_S
            ),
        }

    def note(
        self, organisation: str, subject: Subject, outcome: Outcome,
        measured: Mapping[Measure, float],
    ) -> None:  # fmt: skip
        """Count what one event said."""
        labels = subject.model_id, subject.version, subject.device_class
        with self._lock:
            gone = self._heard.hear(organisation, labels)
            if gone is not None:
                self._forget(gone)
            self._outcomes.add(1, *labels, outcome.value)
            for measure, value in measured.items():
                is_rate = measure is Measure.THROUGHPUT
                self._measures[measure].observe(value if is_rate else value * _S_PER_MS, *labels)

    def ignore(self, reason: str, number: int) -> None:
        """Count events that were not counted."""
        self._ignored.add(number, reason)

    def _forget(self, labels: Labels) -> None:
        for outcome in Outcome:
            self._outcomes.forget(*labels, outcome.value)
        for histogram in self._measures.values():
            histogram.forget(*labels)

    def shown(self) -> Iterator[Metric]:
        """Yield everything."""
        yield self._outcomes
        yield from self._measures.values()
        yield self._ignored


def _histogram(name: str, doc: str, edges: tuple[float, ...]) -> Histogram:
    full_name = f"octomil:control_generation_{name}"
    return Histogram(full_name, doc, _LABELS, edges, max_series=MAX_SERIES)
