"""What was done, and whether the record of it is whole."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEntry:
    """An act.

    Attributes:
        sequence: its number in the organisation, from 1, without gaps.
        at: RFC 3339 in UTC.
        actor: who did it: `key:ID`, `device:ID`, `bootstrap:ID` or `system`.
        operation: such as `device.register`.
        target: the id of what it was done to.
        digest: over the entry, its number, and the digest before it; hexadecimal.
    """

    sequence: int
    at: str
    actor: str
    operation: str
    target: str
    details: dict[str, Any]
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditPage:
    """`GET /audit`, the latest first.

    Attributes:
        next_cursor: leads to the next page; None on the last.
    """

    entries: list[AuditEntry]
    next_cursor: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditVerdict:
    """`GET /audit/verify`.

    Attributes:
        records: how many are right; null where one is not.
        problem: which is the first that is not, and in what way.
    """

    ok: bool
    records: int | None
    problem: str | None
