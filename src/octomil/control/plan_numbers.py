"""Numbers of plans, which grow, also when an older backup takes the place of what was. Pure.

A number is the seconds from 2020 on to when the rows began or were restored, times 2^22, plus the
changes since. So what is counted again after a restore counts from higher up, and a device can tell
what is newer. All numbers are below 2^53, which every JSON reader keeps exact, until 2088.
"""

from datetime import UTC, datetime
from typing import Final

EPOCH_SETTING: Final = "plan_epoch_s"
"""When the rows began or were restored, as the numbers have it; replicas share it."""
RESTORED_SETTING: Final = "restored_at"
"""When the rows were restored from a backup, RFC 3339."""

_ORIGIN = datetime(2020, 1, 1, tzinfo=UTC)
_BITS = 22


def epoch_at(now: datetime, before: int = 0) -> int:
    """Return the epoch that begins at a moment; above the one before, whatever the clock says.

    >>> epoch_at(datetime(2020, 1, 1, 0, 1, tzinfo=UTC)), epoch_at(_ORIGIN, before=60)
    (60, 61)
    """
    return max(int((now - _ORIGIN).total_seconds()), before + 1)


def plan_number(epoch: int, changes: int) -> int:
    """Return the number of a plan after so many changes.

    >>> plan_number(0, 7), plan_number(1, 7)
    (7, 4194311)
    """
    return (epoch << _BITS) + changes


def is_news(number: int, known: int, epoch: int) -> bool:
    """Tell whether a plan is news to somebody who knows another one, or none (0).

    A replica that lags behind has no news; one whose rows were restored has, whatever was known.

    >>> is_news(7, 5, 0), is_news(5, 7, 0), is_news(plan_number(2, 1), plan_number(3, 9), 2)
    (True, False, True)
    """
    return number > known if known >> _BITS == epoch else number != known
