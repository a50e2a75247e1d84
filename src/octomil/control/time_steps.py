"""Time cut into whole steps: of minutes while these are kept, then of hours.

A minute that has become part of an hour cannot be told from the others of it. A stretch of time
that begins before the last hour of which there are minutes is widened to whole hours, so that what
is told of it is the same before its minutes become hours and afterwards.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

MINUTE_S: Final = 60
HOUR_S: Final = 3_600


@dataclass(frozen=True, slots=True, kw_only=True)
class Steps:
    """A stretch of time of whole steps.

    Attributes:
        since_s: where it begins, in seconds since 1970.
        until_s: where it ends; exclusive.
        step_s: length of a step in seconds; both others are multiples of it.
    """

    since_s: int
    until_s: int
    step_s: int

    @property
    def number(self) -> int:
        """How many steps there are."""
        return (self.until_s - self.since_s) // self.step_s

    @property
    def since(self) -> datetime:
        """The beginning as a moment in UTC."""
        return datetime.fromtimestamp(self.since_s, UTC)

    @property
    def until(self) -> datetime:
        """The end as a moment in UTC; exclusive."""
        return datetime.fromtimestamp(self.until_s, UTC)

    def start_of(self, moment: datetime) -> datetime:
        """Return the beginning of the step that a moment lies in."""
        return datetime.fromtimestamp(moment.timestamp() // self.step_s * self.step_s, UTC)


def minutes_since_s(now: datetime, kept: timedelta) -> int:
    """Return the hour since which minutes are told apart, in seconds since 1970.

    Args:
        now: the time.
        kept: how long minutes are told apart, at least.
    """
    return int((now - kept).timestamp() // HOUR_S) * HOUR_S


def whole_steps(since_s: float, until_s: float, step_s: int, minutes_from_s: int) -> Steps:
    """Return the whole steps that a stretch of time lies in.

    Args:
        since_s: where it begins, in seconds since 1970.
        until_s: where it ends; exclusive.
        step_s: wanted length of a step; where there are hours only, the next multiple of an hour
            is taken.
        minutes_from_s: since when minutes are told apart, by `minutes_since_s`.

    Example:
        >>> whole_steps(5_400, 9_000, 60, minutes_from_s=3_600)
        Steps(since_s=5400, until_s=9000, step_s=60)
        >>> whole_steps(5_400, 9_000, 60, minutes_from_s=7_200)
        Steps(since_s=3600, until_s=10800, step_s=3600)
    """
    if since_s < minutes_from_s:
        step_s = -(-step_s // HOUR_S) * HOUR_S
    return Steps(
        since_s=int(since_s // step_s) * step_s,
        until_s=-int(-until_s // step_s) * step_s,
        step_s=step_s,
    )
