"""How generations went: sketches by subject and time, and which events were counted.

What is in a sketch cannot be added by a statement, so that a row is read, added to and written
back: those who write take turns on both databases.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    Connection,
    ForeignKey,
    Index,
    LargeBinary,
    RowMapping,
    Table,
    delete,
    func,
    select,
    update,
)

from octomil.control.records import Known, QualityRange, Stretch, Subject
from octomil.control.stores.columns import PLAIN_TEXT, JsonText, Moment
from octomil.control.stores.schema import insert_new, metadata, upsert
from octomil.control.time_steps import HOUR_S, MINUTE_S
from octomil.quality.sketches import Sketch
from octomil.quality.tallies import Measure, Outcome, Tally, together

MAX_SUBJECTS: Final = 1_000
"""An organisation's events are counted of so many models' versions on classes of devices."""

_TOUCHED = timedelta(hours=1)
"""So far may what is noted of when a subject was last heard of be behind."""

_UNHEARD = timedelta(days=1)
"""What nothing came of for so long gives its place up where there is no room."""
_READ_AT_ONCE = 200

_SUBJECT = ("model_id", "version", "device_class")

quality_claims = Table(
    "quality_claims",
    metadata,
    Column("organisation", PLAIN_TEXT, ForeignKey("organisations.id"), primary_key=True),
    Column("event", LargeBinary, primary_key=True),
    Column("came_at", Moment, nullable=False),
    Index("ix_quality_claims_came_at", "came_at"),
)

quality_subjects = Table(
    "quality_subjects",
    metadata,
    Column("organisation", PLAIN_TEXT, ForeignKey("organisations.id"), primary_key=True),
    *(Column(name, PLAIN_TEXT, primary_key=True) for name in _SUBJECT),
    Column("first_at", Moment, nullable=False),
    Column("last_at", Moment, nullable=False),
    Index("ix_quality_subjects_last_at", "last_at"),
)

quality_stretches = Table(
    "quality_stretches",
    metadata,
    Column("organisation", PLAIN_TEXT, ForeignKey("organisations.id"), primary_key=True),
    Column("model_id", PLAIN_TEXT, primary_key=True),
    Column("began_at", Moment, primary_key=True),
    Column("length_s", BigInteger, primary_key=True),
    Column("version", PLAIN_TEXT, primary_key=True),
    Column("device_class", PLAIN_TEXT, primary_key=True),
    *(Column(outcome.value, BigInteger, nullable=False) for outcome in Outcome),
    Column("sketches", JsonText, nullable=False),
    Index("ix_quality_stretches_length_s_began_at", "length_s", "began_at"),
    Index("ix_quality_stretches_began_at", "began_at"),
)

_subjects, _stretches = quality_subjects.c, quality_stretches.c


class QualityRows:
    """The generations of an organisation."""

    def __init__(self, connection: Connection, organisation: str) -> None:
        self._connection = connection
        self._organisation = organisation

    def claim(self, event: bytes, now: datetime) -> bool:
        """Note that an event came; return False, and change nothing, if it came before."""
        row = {"organisation": self._organisation, "event": event, "came_at": now}
        return insert_new(self._connection, quality_claims, row)

    def add(self, subject: Subject, minute: datetime, tally: Tally, now: datetime) -> bool:
        """Add to what a subject did in a minute; see the port."""
        if not self._has_room(subject, now):
            return False
        key = _key(self._organisation, subject, minute, MINUTE_S)
        _add(self._connection, key, tally)
        return True

    def known(self, model_id: str | None = None) -> Sequence[Known]:
        """Return the subjects of a model, or of all models, in their order."""
        query = select(quality_subjects).where(_subjects.organisation == self._organisation)
        if model_id is not None:
            query = query.where(_subjects.model_id == model_id)
        ordered = query.order_by(*(_subjects[name] for name in _SUBJECT))
        rows = self._connection.execute(ordered).mappings()
        return [Known(subject=_subject(row), first_at=row["first_at"]) for row in rows]

    def count_stretches(self, wanted: QualityRange) -> int:
        """Return how many stretches there are; see the port."""
        query = select(func.count()).select_from(quality_stretches).where(self._within(wanted))
        return int(self._connection.execute(query).scalar_one())

    def stretches(self, wanted: QualityRange) -> Iterator[Stretch]:
        """Return what was added up in each stretch, by time; see the port."""
        query = select(quality_stretches).where(self._within(wanted)).order_by(_stretches.began_at)
        found = self._connection.execute(query, execution_options={"yield_per": _READ_AT_ONCE})
        for row in found.mappings():
            yield Stretch(subject=_subject(row), began_at=row["began_at"], tally=_tally(row))

    def _within(self, wanted: QualityRange) -> ColumnElement[bool]:
        found = (
            (_stretches.organisation == self._organisation)
            & (_stretches.model_id == wanted.model_id)
            & (_stretches.began_at >= wanted.since)
            & (_stretches.began_at < wanted.until)
        )
        if wanted.versions is not None:
            found &= _stretches.version.in_(sorted(wanted.versions))
        if wanted.device_class is not None:
            found &= _stretches.device_class == wanted.device_class
        return found

    def _has_room(self, subject: Subject, now: datetime) -> bool:
        """Tell whether a subject is known, or may become so; it is from then on."""
        own = _subjects.organisation == self._organisation
        values = {name: getattr(subject, name) for name in _SUBJECT}
        same = [_subjects[name] == value for name, value in values.items()]
        query = select(_subjects.last_at).where(own, *same)
        last_at = self._connection.execute(query).scalar_one_or_none()
        if last_at is None:
            if not self._make_room(now):
                return False
            row = values | {"organisation": self._organisation, "first_at": now, "last_at": now}
            insert_new(self._connection, quality_subjects, row)
        elif last_at < now - _TOUCHED:
            change = update(quality_subjects).where(own, *same).values(last_at=now)
            self._connection.execute(change)
        return True

    def _make_room(self, now: datetime) -> bool:
        """Tell whether there is room for one more, in the place of one long unheard if need be."""
        own = _subjects.organisation == self._organisation
        count = select(func.count()).where(own)
        if self._connection.execute(count).scalar_one() < MAX_SUBJECTS:
            return True
        key = [_subjects[name] for name in _SUBJECT]
        unheard = select(*key).where(own, _subjects.last_at < now - _UNHEARD)
        row = self._connection.execute(unheard.order_by(_subjects.last_at, *key).limit(1)).first()
        if row is None:
            return False
        same = [column == value for column, value in zip(key, row, strict=True)]
        self._connection.execute(delete(quality_subjects).where(own, *same))
        return True


class QualityLedgerRows:
    """The generations of all organisations."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def roll_up(self, before: datetime, limit: int) -> int:
        """Add minutes to the hours that they lie in; see the port."""
        is_due = (_stretches.length_s == MINUTE_S) & (_stretches.began_at < _hour_of(before))
        query = select(quality_stretches).where(is_due).order_by(_stretches.began_at).limit(limit)
        rows = self._connection.execute(query).mappings().all()
        for key, minutes in groupby(sorted(rows, key=_hour_key), _hour_key):
            organisation, subject, hour = key
            tally = together(_tally(row) for row in minutes)
            _add(self._connection, _key(organisation, subject, hour, HOUR_S), tally)
        for row in rows:
            gone = _is(_key(row["organisation"], _subject(row), row["began_at"], MINUTE_S))
            self._connection.execute(delete(quality_stretches).where(*gone))
        return len(rows)


def _add(connection: Connection, key: dict[str, Any], tally: Tally) -> None:
    """Add to a row, which is made if need be."""
    row = connection.execute(select(quality_stretches).where(*_is(key))).mappings().first()
    whole = tally if row is None else together([_tally(row), tally])
    numbers = {outcome.value: whole.number(outcome) for outcome in Outcome}
    upsert(connection, quality_stretches, key | numbers | {"sketches": _written(whole)})


def _key(organisation: str, subject: Subject, began_at: datetime, length_s: int) -> dict[str, Any]:
    values = {name: getattr(subject, name) for name in _SUBJECT}
    return values | {"organisation": organisation, "began_at": began_at, "length_s": length_s}


def _is(key: dict[str, Any]) -> list[ColumnElement[bool]]:
    return [_stretches[name] == value for name, value in key.items()]


def _hour_key(row: RowMapping) -> tuple[str, Subject, datetime]:
    return row["organisation"], _subject(row), _hour_of(row["began_at"])


def _hour_of(moment: datetime) -> datetime:
    return moment.replace(minute=0, second=0, microsecond=0)


def _subject(row: RowMapping) -> Subject:
    return Subject(*(row[name] for name in _SUBJECT))


def _written(tally: Tally) -> dict[str, Any]:
    """Return sketches as JSON values: their sums, and pairs of a bucket and its count."""
    return {
        measure.value: [sketch.log_sum, sketch.log_square_sum, sorted(sketch.counts.items())]
        for measure, sketch in tally.sketches.items()
    }


def _tally(row: RowMapping) -> Tally:
    return Tally(
        outcomes={outcome: row[outcome.value] for outcome in Outcome},
        sketches={
            Measure(name): Sketch(dict(counts), log_sum, log_square_sum)
            for name, (log_sum, log_square_sum, counts) in row["sketches"].items()
        },
    )
