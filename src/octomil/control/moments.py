"""Moments as the API shows them."""

from datetime import UTC, datetime

_FIRST = datetime(1, 1, 1, tzinfo=UTC)
_LAST = datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC)


def shown(moment: datetime) -> str:
    """Return a moment as RFC 3339 has it, in UTC.

    Example:
        >>> shown(datetime(2026, 1, 1, 12, tzinfo=UTC))
        '2026-01-01T12:00:00+00:00'
    """
    return moment.astimezone(UTC).isoformat()


def shown_or_none(moment: datetime | None) -> str | None:
    """Return the same, and None for a moment that is not."""
    return None if moment is None else shown(moment)


def in_utc(moment: datetime) -> datetime:
    """Return a moment in UTC; one that lies outside of the calendar there becomes its edge."""
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        return _FIRST if moment.year == _FIRST.year else _LAST
