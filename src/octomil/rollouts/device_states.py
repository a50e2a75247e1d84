"""Where a device stands with what it was offered, by its own reports.

```
pending ─► offered ─► downloading ─► verifying ─► staged ─► activating ─► confirming ─► succeeded
              any of these ─► failed, timed_out, rolled_back, skipped, superseded
```

Reports come late, twice, out of order and not at all. A device may pass over stages, never go back
to one; a report about an earlier offer, by its generation, says nothing. What has ended has ended,
but for a success, whose device may still go back to the slot before, and for a failure by
circumstance: the device tries again, and may run the version then, or fail by its fault.

A device has succeeded when it attests the digest that it was offered, after it activated it and
was healthy for the whole window. Anything else is no success.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final


class DeviceState(StrEnum):
    """Where a device stands."""

    PENDING = "pending"
    OFFERED = "offered"
    DOWNLOADING = "downloading"
    VERIFYING = "verifying"
    STAGED = "staged"
    ACTIVATING = "activating"
    CONFIRMING = "confirming"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    TIMED_OUT = "timed_out"
    ROLLED_BACK = "rolled_back"
    SKIPPED = "skipped"
    SUPERSEDED = "superseded"

    @property
    def has_ended(self) -> bool:
        """Whether nothing more is expected of the device."""
        return self not in _RANKS

    @property
    def is_under_way(self) -> bool:
        """Whether the device took the offer, and has come to no end."""
        return self in _UNDER_WAY


_STAGES: Final = (
    DeviceState.PENDING,
    DeviceState.OFFERED,
    DeviceState.DOWNLOADING,
    DeviceState.VERIFYING,
    DeviceState.STAGED,
    DeviceState.ACTIVATING,
    DeviceState.CONFIRMING,
)
_RANKS: Final = {state: rank for rank, state in enumerate(_STAGES)}
_UNDER_WAY: Final = frozenset(_STAGES[2:])
UNFINISHED: Final = frozenset(_STAGES)
"""States that are no end."""
RUNS_IT: Final = frozenset({DeviceState.ACTIVATING, DeviceState.CONFIRMING})
"""Stages in which the device runs the version, and is not confirmed to be healthy."""
ON_THE_WAY: Final = frozenset(
    {
        DeviceState.DOWNLOADING,
        DeviceState.VERIFYING,
        DeviceState.STAGED,
        DeviceState.ACTIVATING,
    }
)
"""Stages that a device tells of before it attests anything: to be seen, and no evidence."""
_AFTER_SUCCESS: Final = frozenset(
    {DeviceState.FAILED, DeviceState.ROLLED_BACK, DeviceState.SUPERSEDED}
)

SILENCE: Final = timedelta(hours=1)
"""So long beyond its health window a device that runs the version may be silent."""

AWAITED: Final = timedelta(hours=1)
"""So long a small fleet waits for a device that is on its way, from each stage to the next."""

WRONG_DIGEST: Final = "wrong_digest"
"""The code of a device that says it succeeded, but attests something else."""

CIRCUMSTANCES: Final = frozenset(
    {"network_lost", "server_refused", "disk_full", "storage_error", "shut_down"}
)
"""Codes of failures that say nothing about the version."""


class Outcome(StrEnum):
    """What an end says about the version."""

    HEALTHY = "healthy"
    BROKEN = "broken"
    NOTHING = "nothing"


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceProgress:
    """Where a device stands.

    Attributes:
        digest: of what it was offered.
        generation: one more for every offer that the device gets.
        reached: the last stage before the end; the same as `state` until then.
        since: when it came into its state.
        code: why it failed, in one word.
    """

    digest: str
    generation: int
    state: DeviceState = DeviceState.PENDING
    reached: DeviceState = DeviceState.PENDING
    since: datetime
    code: str = ""

    @property
    def is_attested(self) -> bool:
        """Whether more is known than stages that the device told of."""
        return self.reached not in ON_THE_WAY

    @property
    def outcome(self) -> Outcome | None:
        """What the device says about the version; None while it says nothing yet.

        What fails before the version runs is broken if it is the version's own doing. A device
        that is silent counts as broken only if it fell silent while the version ran.
        """
        if not self.state.has_ended:
            return None
        if self.state is DeviceState.SUCCEEDED:
            return Outcome.HEALTHY
        if self.state is DeviceState.FAILED:
            return Outcome.NOTHING if self.code in CIRCUMSTANCES else Outcome.BROKEN
        if self.state is DeviceState.ROLLED_BACK:
            return Outcome.BROKEN
        if self.state is DeviceState.TIMED_OUT and self.reached in RUNS_IT:
            return Outcome.BROKEN
        return Outcome.NOTHING


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What a device says of itself.

    Attributes:
        generation: of the offer that it speaks about.
        digest: what it attests that it runs; None if it says nothing about that.
        code: why it failed, in one word.
    """

    generation: int
    state: DeviceState
    digest: str | None = None
    code: str = ""


def heard(progress: DeviceProgress, report: Report, now: datetime) -> DeviceProgress:
    """Return where a device stands after a report; the same if the report says nothing new."""
    if report.generation != progress.generation or not _may_follow(progress, report):
        return progress
    state, code = report.state, report.code
    if state is DeviceState.SUCCEEDED and report.digest != progress.digest:
        state, code = DeviceState.FAILED, WRONG_DIGEST
    return _moved(progress, state, now, code)


def overdue(
    progress: DeviceProgress, limits_s: Mapping[DeviceState, float], now: datetime
) -> DeviceProgress:
    """Return where a device stands once its time is up.

    Args:
        progress: where it stands.
        limits_s: seconds that it may be in a state; one that is not there has no limit, as
            `offered` should have none: a device that is offline holds up nothing.
        now: the time.
    """
    limit_s = limits_s.get(progress.state)
    if progress.state.has_ended or limit_s is None:
        return progress
    if now < progress.since + timedelta(seconds=limit_s):
        return progress
    return _moved(progress, DeviceState.TIMED_OUT, now, f"{progress.state}_took_too_long")


def let_go(progress: DeviceProgress, now: datetime) -> DeviceProgress:
    """Return where a device stands that is offered the version no more; what has ended stays so."""
    if progress.state.has_ended:
        return progress
    return _moved(progress, DeviceState.SUPERSEDED, now, "")


def offered_again(progress: DeviceProgress, digest: str, now: datetime) -> DeviceProgress:
    """Return where a device stands with another offer; reports on earlier ones say nothing now."""
    generation = progress.generation + 1
    return DeviceProgress(
        digest=digest, generation=generation, state=DeviceState.OFFERED,
        reached=DeviceState.OFFERED, since=now,
    )  # fmt: skip


def _may_follow(progress: DeviceProgress, report: Report) -> bool:
    present, wanted = progress.state, report.state
    if present is DeviceState.FAILED and progress.code in CIRCUMSTANCES:
        is_fault = wanted is DeviceState.FAILED and report.code not in CIRCUMSTANCES
        return is_fault or wanted is DeviceState.CONFIRMING
    if present.has_ended:
        return present is DeviceState.SUCCEEDED and wanted in _AFTER_SUCCESS
    return wanted.has_ended or _RANKS[wanted] > _RANKS[present]


def _moved(
    progress: DeviceProgress, state: DeviceState, now: datetime, code: str
) -> DeviceProgress:
    reached = progress.reached if state.has_ended else state
    return replace(progress, state=state, reached=reached, since=now, code=code)
