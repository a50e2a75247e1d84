"""What clients tell of generations: counted once, and added up."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from hashlib import sha256
from itertools import groupby
from typing import Final, Protocol

from octomil.control.ports import Clock, Store, Transaction
from octomil.control.records import Subject
from octomil.control.services.callers import Caller
from octomil.quality.events import EVENT_TYPES, measured
from octomil.quality.tallies import Measure, Outcome, tally_of, together
from octomil.wire.inference_events import EventsTaken, InferenceEvent, InferenceEvents

CLAIMED_FOR: Final = timedelta(days=2)
"""So long after an event came is it known when it comes again."""

UNKNOWN_CLASS: Final = "unknown"

_EARLIEST, _LATEST = timedelta(days=1), timedelta(minutes=5)
_DIGEST_BYTES = 16


class Counts(Protocol):
    """What is shown of events at once, apart from the store."""

    def note(
        self, organisation: str, subject: Subject, outcome: Outcome,
        measured: Mapping[Measure, float],
    ) -> None:  # fmt: skip
        """Count what one event said."""

    def ignore(self, reason: str, number: int) -> None:
        """Count events that were not counted, `unknown_type` or `no_room`."""


@dataclass(frozen=True, slots=True)
class _Counted:
    """What one event adds."""

    subject: Subject
    minute: datetime
    outcome: Outcome
    measured: Mapping[Measure, float]

    @property
    def place(self) -> tuple[Subject, datetime]:
        return self.subject, self.minute


class InferenceEventService:
    """Takes events.

    Args:
        store: where they are added up.
        clock: tells the time.
        counts: is told of all that was counted, or not, once that is committed.
    """

    def __init__(self, store: Store, clock: Clock, counts: Counts) -> None:
        self._store = store
        self._clock = clock
        self._counts = counts

    def take(self, caller: Caller, body: InferenceEvents) -> EventsTaken:
        """Count events that did not come before; all of them, or none."""
        known = [event for event in body.events if event.event_type in EVENT_TYPES]
        now = self._clock()
        with self._store.transaction(caller.organisation) as tx:
            new = [event for event in known if tx.quality.claim(_digest(event), now)]
            added = self._add(tx, _counted(tx, new, now), now)
            counted = len(added)
            unknown, crowded_out = len(body.events) - len(known), len(new) - counted
            tx.after_commit(partial(self._tell, caller.organisation, added, unknown, crowded_out))
        return EventsTaken(
            counted=counted, repeated=len(known) - len(new), ignored=unknown + crowded_out
        )

    def _add(
        self, tx: Transaction, events: Sequence[_Counted], now: datetime
    ) -> Sequence[_Counted]:
        """Add events to the minutes that they lie in; return those for which there was room."""
        added: list[_Counted] = []
        for place, some in groupby(sorted(events, key=_place), key=_place):
            of_place = list(some)
            tally = together(tally_of(each.outcome, each.measured) for each in of_place)
            if tx.quality.add(*place, tally, now):
                added += of_place
        return added

    def _tell(
        self, organisation: str, counted: Sequence[_Counted], unknown: int, crowded_out: int
    ) -> None:
        for event in counted:
            self._counts.note(organisation, event.subject, event.outcome, event.measured)
        for reason, number in (("unknown_type", unknown), ("no_room", crowded_out)):
            if number:
                self._counts.ignore(reason, number)


def _place(event: _Counted) -> tuple[Subject, datetime]:
    return event.place


def _counted(
    tx: Transaction, events: Sequence[InferenceEvent], now: datetime
) -> Sequence[_Counted]:
    nameless = {event.device_id for event in events if event.device_class is None}
    classes = tx.device_profiles.classes_of({each for each in nameless if each})
    found = []
    for event in events:
        outcome = EVENT_TYPES[event.event_type]
        of_profile = classes.get(event.device_id or "", UNKNOWN_CLASS)
        subject = Subject(event.model_id, event.version, event.device_class or of_profile)
        minute = _believed(event.timestamp_ms, now).replace(second=0, microsecond=0)
        found.append(_Counted(subject, minute, outcome, measured(outcome, event.metrics)))
    return found


def _believed(timestamp_ms: int | None, now: datetime) -> datetime:
    """Return when an event happened: when it came, if its client's clock cannot be right."""
    if timestamp_ms is None:
        return now
    earliest_ms, latest_ms = (each.timestamp() * 1e3 for each in (now - _EARLIEST, now + _LATEST))
    if not earliest_ms <= timestamp_ms <= latest_ms:
        return now
    return datetime.fromtimestamp(timestamp_ms / 1e3, UTC)


def _digest(event: InferenceEvent) -> bytes:
    """Return what stands for an event: its session and its type, of which the second has no NUL."""
    text = f"{event.event_type}\0{event.session_id}"
    return sha256(text.encode()).digest()[:_DIGEST_BYTES]
