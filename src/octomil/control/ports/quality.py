"""How generations went, by what clients tell of them."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Protocol

from octomil.control.records import Known, QualityRange, Stretch, Subject
from octomil.quality.tallies import Tally


class Quality(Protocol):
    """The generations of an organisation, added up by subject and time."""

    def claim(self, event: bytes, now: datetime) -> bool:
        """Note that an event came; return False, and change nothing, if it came before.

        Args:
            event: 16 bytes that stand for it.
            now: when it came.
        """

    def add(self, subject: Subject, minute: datetime, tally: Tally, now: datetime) -> bool:
        """Add to what a subject did in a minute.

        Returns:
            False, and nothing is added, where the subject is a new one and there is no room for it:
            a client names models and versions as it likes. Where there is none, one that nothing
            came of for a day is forgotten for it; what was added up of that one stays.
        """

    def known(self, model_id: str | None = None) -> Sequence[Known]:
        """Return the subjects of a model, or of all models, in their order."""

    def count_stretches(self, wanted: QualityRange) -> int:
        """Return how many stretches `stretches` would return, without reading what is in them."""

    def stretches(self, wanted: QualityRange) -> Iterator[Stretch]:
        """Return what was added up in each stretch, by time; a few are in memory at once."""


class QualityLedger(Protocol):
    """The generations of all organisations."""

    def roll_up(self, before: datetime, limit: int) -> int:
        """Add minutes to the hours that they lie in, and return how many that were.

        Args:
            before: only minutes that lie in hours which ended then or earlier.
            limit: how many minutes at most.
        """
