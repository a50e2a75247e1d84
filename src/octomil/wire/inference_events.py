"""What clients tell of generations: that one began, how it ended, and what was measured of it."""

from dataclasses import dataclass
from typing import Annotated, Final, Literal

from annotated_types import Interval, MaxLen, MinLen

from octomil.wire.numbers import EXACT
from octomil.wire.texts import Identifier, Label, Matches

MAX_EVENTS: Final = 500
"""So many events may come at once."""

ClassName = Literal["flagship", "high", "mid", "low", "server"]
"""A class of devices by their memory, or `server` for what generates in the cloud."""

_Count = Annotated[int, Interval(ge=0, le=10**12), EXACT]
_Amount = Annotated[float, Interval(ge=0, le=1e15), EXACT]
_UnixMs = Annotated[int, Interval(ge=0, le=2**53 - 1), EXACT]
_EventType = Annotated[str, Matches(r"^[a-z_]{1,64}$")]


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerationMetrics:
    """What was measured of a generation, by a clock that never goes back.

    Attributes:
        ttfc_ms: time to the first chunk; null if none came.
        avg_chunk_latency_ms: mean time between two chunks; where it is missing, it follows from the
            other three.
        total_chunks: how many came.
        total_duration_ms: from the beginning to the end.
        throughput: chunks per second.
    """

    ttfc_ms: _Amount | None = None
    avg_chunk_latency_ms: _Amount | None = None
    total_chunks: _Count | None = None
    total_duration_ms: _Amount | None = None
    throughput: _Amount | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class InferenceEvent:
    """One event of a generation; with the same session and type it counts once.

    Attributes:
        device_id: where it was generated, or asked for.
        model_id: whatever the client calls the model.
        version: whatever it calls the version.
        modality: such as `text`.
        session_id: of the generation.
        event_type: `generation_started`, `generation_completed`, `generation_failed` or
            `generation_cancelled`; others are taken and not counted.
        timestamp_ms: when it happened, in milliseconds since 1970; when it comes, if that is
            missing or cannot be: more than a day ago, or in more than five minutes.
        org_id: taken and not looked at; the key says whose it is.
        metrics: what was measured.
        device_class: the device's; as its profile says, if that is missing.
    """

    model_id: Identifier
    version: Identifier = "latest"
    session_id: Identifier
    event_type: _EventType
    device_id: Label | None = None
    modality: Label | None = None
    timestamp_ms: _UnixMs | None = None
    org_id: Label | None = None
    metrics: GenerationMetrics | None = None
    device_class: ClassName | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class InferenceEvents:
    """`POST /inference/events`: one event by itself, or several."""

    events: Annotated[list[InferenceEvent], MinLen(1), MaxLen(MAX_EVENTS)]


@dataclass(frozen=True, slots=True, kw_only=True)
class EventsTaken:
    """What became of some events.

    Attributes:
        counted: that are counted now.
        repeated: that were counted before.
        ignored: of types that are not counted, or of a model for which there is no room.
    """

    counted: int
    repeated: int
    ignored: int
