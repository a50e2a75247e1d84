"""What an event of a client says: which outcome it is, and what was measured."""

from collections.abc import Iterator, Mapping
from typing import Final

from octomil.quality.tallies import Measure, Outcome
from octomil.wire.inference_events import GenerationMetrics

EVENT_TYPES: Final[Mapping[str, Outcome]] = {
    f"generation_{outcome}": outcome for outcome in Outcome
}
"""The types of events that are counted."""

_MS_PER_S = 1e3
_MEASURED = frozenset({Outcome.COMPLETED, Outcome.FAILED})
_OF_WHOLE = frozenset({Measure.TOTAL_DURATION_MS, Measure.THROUGHPUT})


def measured(outcome: Outcome, metrics: GenerationMetrics | None) -> dict[Measure, float]:
    """Return what was measured of a generation; what its client left out follows from the rest.

    What failed has no duration: it is not that of an answer. Of what was cancelled nothing counts:
    who stops reading says nothing of the model, and what has begun is measured when it ends. Where
    no chunk came, there is no time to the first, whatever the client put there.

    Example:
        >>> told = GenerationMetrics(ttfc_ms=100, total_chunks=5, total_duration_ms=180)
        >>> found = measured(Outcome.COMPLETED, told)
        >>> found[Measure.AVG_CHUNK_LATENCY_MS], round(found[Measure.THROUGHPUT], 1)
        (20.0, 27.8)
    """
    if outcome not in _MEASURED or metrics is None or metrics.total_chunks == 0:
        return {}
    found = {
        Measure.TTFC_MS: metrics.ttfc_ms,
        Measure.AVG_CHUNK_LATENCY_MS: _chunk_latency_ms(metrics),
        Measure.TOTAL_DURATION_MS: metrics.total_duration_ms,
        Measure.THROUGHPUT: _throughput(metrics),
    }
    left_out = frozenset() if outcome is Outcome.COMPLETED else _OF_WHOLE
    return dict(_known(found, left_out))


def _known(
    found: Mapping[Measure, float | None], left_out: frozenset[Measure]
) -> Iterator[tuple[Measure, float]]:
    for measure, value in found.items():
        if value is not None and measure not in left_out:
            yield measure, value


def _chunk_latency_ms(metrics: GenerationMetrics) -> float | None:
    if metrics.avg_chunk_latency_ms is not None:
        return metrics.avg_chunk_latency_ms
    first_ms, total_ms, chunks = metrics.ttfc_ms, metrics.total_duration_ms, metrics.total_chunks
    if first_ms is None or total_ms is None or chunks is None or chunks < 2 or total_ms < first_ms:
        return None
    return (total_ms - first_ms) / (chunks - 1)


def _throughput(metrics: GenerationMetrics) -> float | None:
    if metrics.throughput is not None:
        return metrics.throughput
    if metrics.total_chunks is None or not metrics.total_duration_ms:
        return None
    return metrics.total_chunks / metrics.total_duration_ms * _MS_PER_S
