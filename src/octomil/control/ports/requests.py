"""Requests that come again."""

from datetime import datetime
from typing import Protocol

from octomil.control.records import KeptAnswer


class IdempotencyKeys(Protocol):
    """The answers that an organisation's requests with an idempotency key got."""

    def find(self, key: str) -> KeptAnswer | None:
        """Return what the key's request was answered, if it was."""

    def keep(self, key: str, answer: KeptAnswer, now: datetime) -> bool:
        """Keep an answer; return False, and change nothing, if the key has one already."""

    def forget(self, before: datetime) -> int:
        """Drop what was kept before a moment; return how much that was."""
