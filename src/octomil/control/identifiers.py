"""Ids: a word for what they name, the time they were made, and chance."""

import secrets
from datetime import datetime

_MS_DIGITS = 11  # of hexadecimal milliseconds: enough until the year 2527
_CHANCE_BYTES = 10


def new_id(kind: str, now: datetime) -> str:
    """Return a new id; those made later sort later, so that an index grows at its end.

    Args:
        kind: such as `dev`.
        now: the moment, with its time zone.

    Example:
        >>> from datetime import UTC
        >>> new_id("dev", datetime(2026, 1, 1, tzinfo=UTC))[:15]
        'dev_19b76daa800'
    """
    milliseconds = int(now.timestamp() * 1000)
    return f"{kind}_{milliseconds:0{_MS_DIGITS}x}{secrets.token_hex(_CHANCE_BYTES)}"
