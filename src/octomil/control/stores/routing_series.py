"""What serving nodes did: sums by minute, rolled up into hours."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    Connection,
    Float,
    ForeignKey,
    Index,
    Integer,
    RowMapping,
    Table,
    delete,
    distinct,
    func,
    select,
)

from octomil.control.records.routing_series import (
    OTHER_MODELS,
    SUMMED,
    RoutingKey,
    RoutingRange,
    RoutingSums,
    RoutingTotal,
)
from octomil.control.stores.columns import PLAIN_TEXT, Moment
from octomil.control.stores.schema import insert_or_add, metadata, upsert
from octomil.control.time_steps import HOUR_S, MINUTE_S
from octomil.wire.routing_series import ROUTING_US_BOUNDS

MAX_KEYS = 64
"""So many models and tiers of a node are told apart in one minute, and in one hour."""
MAX_SPOOLS = 8

_BUCKETS = tuple(f"routing_bucket_{number}" for number in range(len(ROUTING_US_BOUNDS) + 1))
_FLOATS = frozenset({"cost_usd", "saved_usd", "largest_s", "saved_s"})

routing_series = Table(
    "routing_series",
    metadata,
    Column("organisation", PLAIN_TEXT, ForeignKey("organisations.id"), primary_key=True),
    Column("device_id", PLAIN_TEXT, ForeignKey("devices.id"), primary_key=True),
    Column("span_s", Integer, primary_key=True),
    Column("start_s", BigInteger, primary_key=True),
    Column("model", PLAIN_TEXT, primary_key=True),
    Column("tier", Integer, primary_key=True),
    *(Column(name, Float if name in _FLOATS else BigInteger, nullable=False) for name in SUMMED),
    *(Column(name, BigInteger, nullable=False) for name in _BUCKETS),
    Index("ix_routing_series_organisation_start_s", "organisation", "start_s"),
    Index("ix_routing_series_span_s_start_s", "span_s", "start_s"),
)
"""What each node did in each minute, and after a while in each hour."""

routing_spools = Table(
    "routing_spools",
    metadata,
    Column("device_id", PLAIN_TEXT, ForeignKey("devices.id"), primary_key=True),
    Column("spool", PLAIN_TEXT, primary_key=True),
    Column("organisation", PLAIN_TEXT, ForeignKey("organisations.id"), nullable=False),
    Column("number", BigInteger, nullable=False),
    Column("dropped", BigInteger, nullable=False),
    Column("heard_at", Moment, nullable=False),
    Index("ix_routing_spools_organisation", "organisation"),
)
"""How far the spools of nodes were dealt with."""

_TABLE, _SPOOLS = routing_series.c, routing_spools.c
_TOTALS = tuple(func.sum(_TABLE[name]).label(name) for name in (*SUMMED, *_BUCKETS))


@dataclass(frozen=True, slots=True)
class _Stretch:
    """A minute or an hour of a node."""

    organisation: str
    device_id: str
    span_s: int
    start_s: int


class RoutingSeriesRows:
    """What the nodes of an organisation did."""

    def __init__(self, connection: Connection, organisation: str) -> None:
        self._connection = connection
        self._organisation = organisation

    def position(self, device_id: str, spool: str) -> int:
        """Return the last number of a node's spool that was dealt with; 0 if there is none."""
        query = select(_SPOOLS.number).where(self._of(device_id), _SPOOLS.spool == spool)
        return self._connection.execute(query).scalar() or 0

    def move(self, device_id: str, spool: str, number: int, dropped: int, now: datetime) -> None:
        """Note how far a node's spool was dealt with, and how many minutes it lost."""
        row = {"number": number, "dropped": dropped, "heard_at": now}
        key = {"device_id": device_id, "spool": spool, "organisation": self._organisation}
        upsert(self._connection, routing_spools, key | row)
        youngest = _SPOOLS.heard_at.desc(), _SPOOLS.spool
        query = select(_SPOOLS.spool).where(self._of(device_id)).order_by(*youngest)
        kept = list(self._connection.execute(query.limit(MAX_SPOOLS)).scalars())
        old = self._of(device_id) & _SPOOLS.spool.not_in(kept)
        self._connection.execute(delete(routing_spools).where(old))

    def add(self, device_id: str, start_s: int, sums: Mapping[RoutingKey, RoutingSums]) -> None:
        """Add to what a node did in the minute that began then."""
        _add(self._connection, _Stretch(self._organisation, device_id, MINUTE_S, start_s), sums)

    def over_time(self, wanted: RoutingRange, step_s: int) -> Sequence[RoutingTotal]:
        """Return the sums of each step and tier, in order."""
        step = (_TABLE.start_s - _TABLE.start_s % step_s).label("step")
        each = select(step, *_TABLE).where(self._within(wanted)).subquery()
        sums = (func.sum(each.c[name]).label(name) for name in (*SUMMED, *_BUCKETS))
        query = select(each.c.step, each.c.tier, *sums).group_by(each.c.step, each.c.tier)
        rows = self._connection.execute(query.order_by(each.c.step, each.c.tier)).mappings()
        return [
            RoutingTotal(start_s=row["step"], key=RoutingKey("", row["tier"]), sums=_sums(row))
            for row in rows
        ]

    def by_model(self, wanted: RoutingRange) -> Sequence[RoutingTotal]:
        """Return the sums of each model and tier."""
        key = _TABLE.model, _TABLE.tier
        query = select(*key, *_TOTALS).where(self._within(wanted)).group_by(*key).order_by(*key)
        return [
            RoutingTotal(start_s=0, key=RoutingKey(row["model"], row["tier"]), sums=_sums(row))
            for row in self._connection.execute(query).mappings()
        ]

    def nodes(self, wanted: RoutingRange) -> int:
        """Return how many nodes did something."""
        query = select(func.count(distinct(_TABLE.device_id))).where(self._within(wanted))
        return int(self._connection.execute(query).scalar_one())

    def dropped(self) -> int:
        """Return how many minutes nodes lost before they could tell of them."""
        own = _SPOOLS.organisation == self._organisation
        query = select(func.sum(_SPOOLS.dropped)).where(own)
        return int(self._connection.execute(query).scalar() or 0)

    def _of(self, device_id: str) -> ColumnElement[bool]:
        own = _SPOOLS.organisation == self._organisation
        return own & (_SPOOLS.device_id == device_id)

    def _within(self, wanted: RoutingRange) -> ColumnElement[bool]:
        found = (
            (_TABLE.organisation == self._organisation)
            & (_TABLE.start_s >= wanted.since_s)
            & (_TABLE.start_s < wanted.until_s)
        )
        for name in ("device_id", "model", "tier"):
            value = getattr(wanted, name)
            if value is not None:
                found &= _TABLE[name] == value
        return found


class RoutingHourRows:
    """What the nodes of all organisations did long ago."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def roll_up(self, before_s: int, limit: int) -> int:
        """Make hours of the minutes before a moment, of so many nodes' hours at most."""
        hour = (_TABLE.start_s - _TABLE.start_s % HOUR_S).label("hour")
        old = select(_TABLE.organisation, _TABLE.device_id, hour).where(
            _TABLE.span_s == MINUTE_S, _TABLE.start_s < before_s
        )
        found = self._connection.execute(old.distinct().limit(limit)).all()
        for organisation, device_id, start_s in found:
            self._roll_up(_Stretch(organisation, device_id, HOUR_S, start_s))
        return len(found)

    def _roll_up(self, hour: _Stretch) -> None:
        minutes = (
            (_TABLE.organisation == hour.organisation)
            & (_TABLE.device_id == hour.device_id)
            & (_TABLE.span_s == MINUTE_S)
            & (_TABLE.start_s >= hour.start_s)
            & (_TABLE.start_s < hour.start_s + HOUR_S)
        )
        key = _TABLE.model, _TABLE.tier
        query = select(*key, *_TOTALS).where(minutes).group_by(*key).order_by(*key)
        rows = self._connection.execute(query).mappings().all()
        sums = {RoutingKey(row["model"], row["tier"]): _sums(row) for row in rows}
        _add(self._connection, hour, sums)
        self._connection.execute(delete(routing_series).where(minutes))


def _add(connection: Connection, stretch: _Stretch, sums: Mapping[RoutingKey, RoutingSums]) -> None:
    """Add to what a node did in a stretch of time; what there is no room for is kept together."""
    place = asdict(stretch)
    known = select(_TABLE.model, _TABLE.tier).where(
        *(_TABLE[name] == value for name, value in place.items())
    )
    keys = {RoutingKey(*row) for row in connection.execute(known)}
    together: dict[RoutingKey, RoutingSums] = defaultdict(RoutingSums)
    for key, each in sums.items():
        has_room = key in keys or len(keys) < MAX_KEYS
        kept = key if has_room else RoutingKey(OTHER_MODELS, key.tier)
        keys.add(kept)
        together[kept] += each
    for key, each in together.items():
        insert_or_add(connection, routing_series, place | key._asdict() | _row(each))


def _row(sums: RoutingSums) -> dict[str, float]:
    buckets = zip(_BUCKETS, sums.routing_us_buckets, strict=True)
    return {name: getattr(sums, name) for name in SUMMED} | dict(buckets)


def _sums(row: RowMapping) -> RoutingSums:
    """Return sums as they are; Postgres adds whole numbers up to decimal ones."""
    added: dict[str, Any] = {
        name: float(row[name]) if name in _FLOATS else int(row[name]) for name in SUMMED
    }
    return RoutingSums(**added, routing_us_buckets=tuple(int(row[name]) for name in _BUCKETS))
