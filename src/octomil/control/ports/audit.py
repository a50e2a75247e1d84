"""The audit."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Protocol

from octomil.control.records import Act, NotedAct


class Audit(Protocol):
    """The acts of an organisation, chained: each record's digest covers the one before it."""

    def append(self, act: Act, now: datetime) -> None:
        """Note an act, in the same transaction as the act itself.

        Holds the organisation's chain until the end of the transaction, so come to it last.
        """

    def entries(self) -> Iterator[Mapping[str, object]]:
        """Yield what was noted, oldest first."""

    def page(self, before: int | None, limit: int) -> Sequence[NotedAct]:
        """Return the latest acts below a sequence number, or of all, the latest first."""

    def verify(self) -> int:
        """Return how many records there are, all whole and in their places.

        Raises:
            AuditError: one is not; the message says which and in what way.
        """


class AuditError(Exception):
    """A record of the audit was edited, removed, inserted or moved."""
