"""How long a stream took to its first chunk, between two of them, and to its end."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

_MS_PER_S = 1e3


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamingInferenceResult:
    """What was measured of one generation.

    Attributes:
        session_id: its name, in the events that were reported of it.
        modality: such as `text`.
        ttfc_ms: time to first chunk; None if none came.
        avg_chunk_latency_ms: mean time between two chunks; None if there were not two.
        total_chunks: how many came.
        total_duration_ms: from the first demand to the end.
        throughput: chunks per second of that; None if no time passed.
    """

    session_id: str
    modality: str
    ttfc_ms: float | None
    avg_chunk_latency_ms: float | None
    total_chunks: int
    total_duration_ms: float
    throughput: float | None

    def to_dict(self) -> dict[str, Any]:
        """Return the same by name."""
        return asdict(self)


class StreamMeter:
    """Notes when chunks come; a reader that is slower than its source is measured, too.

    Args:
        clock_s: a clock that never goes back, in seconds.
    """

    def __init__(self, clock_s: Callable[[], float]) -> None:
        self._clock_s = clock_s
        self._began_s = self._first_s = self._last_s = clock_s()
        self._chunks = 0

    def arrived(self) -> None:
        """Note a chunk."""
        self._last_s = self._clock_s()
        if not self._chunks:
            self._first_s = self._last_s
        self._chunks += 1

    def result(self, session_id: str, modality: str) -> StreamingInferenceResult:
        """Return what was measured, if the stream ends now."""
        duration_s, gaps = self._clock_s() - self._began_s, self._chunks - 1
        between_s = (self._last_s - self._first_s) / gaps if gaps > 0 else None
        return StreamingInferenceResult(
            session_id=session_id,
            modality=modality,
            ttfc_ms=(self._first_s - self._began_s) * _MS_PER_S if self._chunks else None,
            avg_chunk_latency_ms=None if between_s is None else between_s * _MS_PER_S,
            total_chunks=self._chunks,
            total_duration_ms=duration_s * _MS_PER_S,
            throughput=self._chunks / duration_s if duration_s > 0 else None,
        )
