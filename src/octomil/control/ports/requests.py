"""Requests that come again."""

from datetime import datetime
from typing import Protocol

from octomil.control.records import KeptAnswer, RequestKey


class IdempotencyKeys(Protocol):
    """The answers that an organisation's requests with an idempotency key got."""

    def claim(self, key: RequestKey, request_digest: bytes, now: datetime) -> bool:
        """Take a key for a request; return False, and change nothing, if it was taken before.

        Waits for whoever is about to take it, until that transaction has ended either way.
        """

    def find(self, key: RequestKey) -> KeptAnswer | None:
        """Return what the key's request was answered, if it was."""

    def keep(self, key: RequestKey, status: int, body: bytes | None) -> None:
        """Keep the answer to the request that has claimed a key."""
