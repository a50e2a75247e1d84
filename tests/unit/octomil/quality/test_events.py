"""What is measured of a generation, by how it ended."""

import pytest

from octomil.quality.events import measured
from octomil.quality.tallies import Measure, Outcome
from octomil.wire.inference_events import GenerationMetrics

TOLD = GenerationMetrics(
    ttfc_ms=100.0, avg_chunk_latency_ms=20.0, total_chunks=5, total_duration_ms=200.0,
    throughput=25.0,
)  # fmt: skip


@pytest.mark.parametrize(
    ("outcome", "expected"),
    [
        (Outcome.STARTED, set()),
        (Outcome.COMPLETED, set(Measure)),
        (Outcome.FAILED, {Measure.TTFC_MS, Measure.AVG_CHUNK_LATENCY_MS}),
        (Outcome.CANCELLED, set()),
    ],
)
def test_what_counts_depends_on_the_end(outcome: Outcome, expected: set[Measure]):
    assert set(measured(outcome, TOLD)) == expected


def test_where_no_chunk_came_nothing_was_measured():
    told = GenerationMetrics(ttfc_ms=100.0, total_chunks=0, total_duration_ms=200.0)

    assert measured(Outcome.FAILED, told) == {}
