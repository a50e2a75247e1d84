"""The time."""

from datetime import datetime
from typing import Protocol


class Clock(Protocol):
    """Tells the time."""

    def __call__(self) -> datetime:
        """Return the present moment, in UTC."""
