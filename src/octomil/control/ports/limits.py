"""Rate limits that replicas share."""

from typing import Protocol

from octomil.control.gcra import Decision, RateLimit


class SharedLimits(Protocol):
    """One bucket for each caller and limit, whichever replica asks."""

    async def take(self, who: str, limit: RateLimit) -> Decision:
        """Take a token out of a caller's bucket.

        Raises:
            LimitsUnavailableError: nobody knows how full it is.
        """

    async def close(self) -> None:
        """Give the connections back."""


class LimitsUnavailableError(Exception):
    """The shared buckets cannot be reached."""
