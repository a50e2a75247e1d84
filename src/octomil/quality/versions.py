"""Which version of a model came before which."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from octomil.registry.semver import SemVer


def in_order(first_at: Mapping[str, datetime]) -> Sequence[str]:
    """Return versions, the oldest first: by their numbers if all have one, else by when they came.

    Args:
        first_at: when each was first heard of.

    Example:
        >>> long_ago, now = datetime(2026, 1, 1), datetime(2026, 11, 22)
        >>> in_order({"10.0.0": long_ago, "9.0.0": now}), in_order({"b": long_ago, "a": now})
        (['9.0.0', '10.0.0'], ['b', 'a'])
    """
    try:
        return sorted(first_at, key=SemVer.parse)
    except ValueError:
        return sorted(first_at, key=lambda version: (first_at[version], version))
