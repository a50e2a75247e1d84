"""Column types that mean the same on SQLite and on Postgres."""

import json
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import DateTime, Dialect, Text, TypeDecorator
from sqlalchemy.dialects.postgresql import TEXT

PLAIN_TEXT = Text().with_variant(TEXT(collation="C"), "postgresql")
"""Text that is ordered by its code points on both, whatever language Postgres was set up for."""


class Moment(TypeDecorator[datetime]):
    """A moment in UTC, to the microsecond; SQLite, which knows no time zones, keeps it without."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Refuse a moment that does not say where it is the time.

        Raises:
            ValueError: `value` has no time zone.
        """
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"{value!r} has no time zone")
        return value.astimezone(UTC).replace(tzinfo=_kept_zone(dialect))

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Give the moment its time zone."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def _kept_zone(dialect: Dialect) -> Any:
    return None if dialect.name == "sqlite" else UTC


class JsonText(TypeDecorator[Any]):
    """A JSON value as ASCII text, so that both databases keep exactly the same.

    Postgres' own types refuse the character U+0000 and order keys anew.
    """

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> str:
        """Return the text."""
        return json.dumps(value, ensure_ascii=True, separators=(",", ":"), allow_nan=False)

    def process_result_value(self, value: str | None, dialect: Dialect) -> Any:
        """Return the value."""
        return None if value is None else json.loads(value)
