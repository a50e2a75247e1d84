"""What is measured of a stream, by a clock that goes when told to."""

import pytest

from octomil.inference.stream_meter import StreamingInferenceResult, StreamMeter
from support.manual_clock import ManualClock


def measured(*gaps_s: float, end_s: float = 0.0) -> StreamingInferenceResult:
    """A stream whose chunks come after those gaps, and which ends so long after the last."""
    clock = ManualClock()
    meter = StreamMeter(clock)
    for gap_s in gaps_s:
        clock.advance(gap_s)
        meter.arrived()
    clock.advance(end_s)
    return meter.result("s", "text")


def test_every_figure_of_a_stream():
    result = measured(0.5, *[0.005] * 100, end_s=1.0)

    assert result.to_dict() == {
        "session_id": "s",
        "modality": "text",
        "ttfc_ms": pytest.approx(500),
        "avg_chunk_latency_ms": pytest.approx(5),
        "total_chunks": 101,
        "total_duration_ms": pytest.approx(2_000),
        "throughput": pytest.approx(50.5),
    }


def test_what_was_not_there_has_no_figure():
    nothing, one, at_once = measured(end_s=1.0), measured(0.25), measured()

    assert (nothing.ttfc_ms, nothing.avg_chunk_latency_ms, nothing.throughput) == (None, None, 0)
    assert (one.ttfc_ms, one.avg_chunk_latency_ms, one.throughput) == (250, None, 4)
    assert (at_once.total_duration_ms, at_once.throughput) == (0, None)
