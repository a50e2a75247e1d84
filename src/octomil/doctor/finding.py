"""What a check says."""

from dataclasses import dataclass
from enum import StrEnum


class Status(StrEnum):
    """How a check ended."""

    OK = "ok"
    NOTE = "note"
    """Something optional is absent or slow; everything else works."""
    PROBLEM = "problem"
    """Something that is needed does not work."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report.

    Attributes:
        check: what was looked at, in a word or two.
        status: how it is.
        detail: what was seen.
        hint: the next step; only an `ok` goes without one.
    """

    check: str
    status: Status
    detail: str
    hint: str = ""


def ok(check: str, detail: str) -> Finding:
    """Return a finding that needs nothing."""
    return Finding(check, Status.OK, detail)


def note(check: str, detail: str, hint: str) -> Finding:
    """Return a finding about something optional or slow."""
    return Finding(check, Status.NOTE, detail, hint)


def problem(check: str, detail: str, hint: str) -> Finding:
    """Return a finding about something that is needed and does not work."""
    return Finding(check, Status.PROBLEM, detail, hint)
