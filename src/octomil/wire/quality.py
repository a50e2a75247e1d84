"""How well generations went, over time and between versions."""

from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """What can be said of a version."""

    REGRESSED = "regressed"
    NOT_FOUND = "no_regression_found"
    TOO_FEW = "too_few"


@dataclass(frozen=True, slots=True, kw_only=True)
class Percentiles:
    """What half, nine tenths, and ninety-nine hundredths of the generations did not exceed.

    Attributes:
        count: generations of which this was measured.
    """

    count: int
    p50: float
    p90: float
    p99: float


@dataclass(frozen=True, slots=True, kw_only=True)
class QualityFigures:
    """Generations of some time, counted and measured; null where nothing was.

    Attributes:
        started: that began.
        completed: that came to their end.
        failed: that ended by an error.
        cancelled: whose reader stopped.
        ttfc_ms: time to the first chunk, in milliseconds.
        avg_chunk_latency_ms: of each generation, the mean time between two chunks.
        total_duration_ms: from the beginning to the end.
        throughput: chunks per second; here the slow ones are at the lower end.
    """

    started: int
    completed: int
    failed: int
    cancelled: int
    ttfc_ms: Percentiles | None
    avg_chunk_latency_ms: Percentiles | None
    total_duration_ms: Percentiles | None
    throughput: Percentiles | None


@dataclass(frozen=True, slots=True, kw_only=True)
class QualityPoint:
    """A stretch of time.

    Attributes:
        at: its beginning, RFC 3339 in UTC.
    """

    at: str
    figures: QualityFigures


@dataclass(frozen=True, slots=True, kw_only=True)
class QualityGroup:
    """One version on one class of devices, over all of the time."""

    version: str
    device_class: str
    figures: QualityFigures


@dataclass(frozen=True, slots=True, kw_only=True)
class QualityReport:
    """`GET /inference/quality`.

    Attributes:
        since: the first moment, RFC 3339 in UTC, at the beginning of a step.
        until: the first moment after it, at the end of one.
        step_s: length of a point in seconds; an hour at least where only hours are kept.
        relative_error: a percentile is at most so far from the exact one, relative to that.
        overall: over all of the time.
        series: in the order of time; stretches without any event are left out.
        groups: by version and class of devices.
    """

    model_id: str
    version: str | None
    device_class: str | None
    since: str
    until: str
    step_s: int
    relative_error: float
    overall: QualityFigures
    series: list[QualityPoint]
    groups: list[QualityGroup]


@dataclass(frozen=True, slots=True, kw_only=True)
class RegressionFinding:
    """What was found out about one measure on one class of devices.

    Attributes:
        measure: `ttfc_ms`, `avg_chunk_latency_ms` or `failures`.
        before: of the version before: the geometric mean in milliseconds, or the share that failed;
            null where nothing was measured.
        after: the same of the version.
        ratio: of the two; null where it cannot be told.
        ratio_low: a lower bound for it that holds however often one looks at a window that begins
            at the same moment; null for failures.
        ratio_high: an upper bound, likewise.
        generations_before: of the version before, that were measured.
        generations_after: of the version.
    """

    device_class: str
    measure: str
    verdict: Verdict
    before: float | None
    after: float | None
    ratio: float | None
    ratio_low: float | None = None
    ratio_high: float | None = None
    generations_before: int
    generations_after: int


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionComparison:
    """A version of a model, and the one before it.

    Attributes:
        is_regressed: whether any finding says so.
    """

    model_id: str
    version: str
    before: str
    is_regressed: bool
    findings: list[RegressionFinding]


@dataclass(frozen=True, slots=True, kw_only=True)
class RegressionReport:
    """`GET /inference/regressions`.

    Attributes:
        since: the first moment whose generations are compared, RFC 3339 in UTC.
        until: the first moment after them.
        tolerated_slowdown: relative: 0.02 for 2 % slower.
        tolerated_failures: by how much the share that fails may be greater.
        false_alarm: greatest probability that a version no worse than that is ever flagged within
            one window, however often one looks while it grows; one that begins later is another.
        comparisons: one for each model that has two versions.
    """

    since: str
    until: str
    tolerated_slowdown: float
    tolerated_failures: float
    false_alarm: float
    comparisons: list[VersionComparison]
