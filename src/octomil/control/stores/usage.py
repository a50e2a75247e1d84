"""What devices report of the requests that they answered."""

from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    Connection,
    Float,
    ForeignKey,
    Select,
    Table,
    cast,
    func,
    select,
    update,
)

from octomil.control.records import ArmUsage, DeviceUsage, Rollout, Spread
from octomil.control.stores.attestations import attestations
from octomil.control.stores.columns import PLAIN_TEXT, Moment
from octomil.control.stores.device_table import devices
from octomil.control.stores.rollout_devices import HAS_TAKEN, rollout_devices
from octomil.control.stores.schema import insert_new, metadata, upsert

usage_windows = Table(
    "usage_windows",
    metadata,
    Column("device_id", PLAIN_TEXT, ForeignKey("devices.id"), primary_key=True),
    Column("organisation", PLAIN_TEXT, ForeignKey("organisations.id"), nullable=False),
    Column("number", BigInteger, nullable=False),
    Column("reported_at", Moment, nullable=False),
)
"""The last report of each device."""

rollout_usage = Table(
    "rollout_usage",
    metadata,
    Column("rollout_id", PLAIN_TEXT, ForeignKey("rollouts.id"), primary_key=True),
    Column("device_id", PLAIN_TEXT, ForeignKey("devices.id"), primary_key=True),
    Column("digest", PLAIN_TEXT, primary_key=True),
    Column("tier", PLAIN_TEXT, primary_key=True),
    Column("organisation", PLAIN_TEXT, ForeignKey("organisations.id"), nullable=False),
    Column("began_at", Moment, nullable=False),
    Column("requests", BigInteger, nullable=False),
    Column("errors", BigInteger, nullable=False),
    Column("log_latency_ms_sum", Float, nullable=False),
)
"""What each did since the step of a rollout that began at a moment; a later step's overwrites it.

So there is at most a row for each device, version and tier, however long a rollout takes.
"""

_KEYS = ("device_id", "digest", "tier")
_SUMS = ("requests", "errors", "log_latency_ms_sum")


class UsageRows:
    """What the devices of an organisation report."""

    def __init__(self, connection: Connection, organisation: str) -> None:
        self._connection = connection
        self._organisation = organisation

    def open_window(self, device_id: str, window: int, now: datetime) -> bool:
        """Note a report of a device; return False if it is not later than those before."""
        values = {"number": window, "reported_at": now}
        row = values | {"device_id": device_id, "organisation": self._organisation}
        if insert_new(self._connection, usage_windows, row):
            return True
        is_earlier = self._is_of(device_id) & (usage_windows.c.number < window)
        change = update(usage_windows).where(is_earlier).values(**values)
        return self._connection.execute(change).rowcount == 1

    def last_window(self, device_id: str) -> int:
        """Return the last window that a device was heard of; 0 if there is none."""
        query = select(usage_windows.c.number).where(self._is_of(device_id))
        return self._connection.execute(query).scalar() or 0

    def add(self, rollout: Rollout, usage: DeviceUsage) -> None:
        """Add to what a device did since the step of a rollout began."""
        key = {name: getattr(usage, name) for name in _KEYS} | {"rollout_id": rollout.id}
        sums = {name: getattr(usage, name) for name in _SUMS}
        began_at, table = rollout.progress.began_at, rollout_usage.c
        same = [table[name] == value for name, value in key.items()]
        query = select(*(table[name] for name in _SUMS)).where(*same, table.began_at == began_at)
        known = self._connection.execute(query).mappings().first()
        if known is not None:
            sums = {name: value + known[name] for name, value in sums.items()}
        row = key | sums | {"began_at": began_at, "organisation": self._organisation}
        upsert(self._connection, rollout_usage, row)

    def tally(self, rollout: Rollout) -> tuple[ArmUsage, ArmUsage]:
        """Return what was done since a rollout's step began: with its version, and with others."""
        each = self._of_devices(rollout).subquery()
        ended_well = func.nullif(each.c.requests - each.c.errors, 0)
        values = (each.c.errors / each.c.requests, each.c.log_latency_ms_sum / ended_well)
        sums = (column for value in values for column in _sums_of(value))
        query = select(each.c.is_candidate, *sums).group_by(each.c.is_candidate)
        found = {bool(row[0]): _arm(*row[1:]) for row in self._connection.execute(query)}
        return found.get(True, _NOTHING), found.get(False, _NOTHING)

    def _of_devices(self, rollout: Rollout) -> Select[Any]:
        """Select what each device of the two arms did: all in one pass, in the table's order."""
        table, took, said = rollout_usage.c, rollout_devices.c, attestations.c
        began_at, is_candidate = rollout.progress.began_at, rollout_usage.c.digest == rollout.digest
        took_it = (took.rollout_id == rollout.id) & (took.device_id == table.device_id) & HAS_TAKEN
        said_it = (said.device_id == table.device_id) & (said.model_id == rollout.model_id)
        took_since = took.is_counted & (took.taken_at >= began_at)
        ran_already = said.is_active & (said.digest == table.digest) & (said.since < began_at)
        stayed = ~is_candidate & took.device_id.is_(None) & ran_already
        sums = (cast(func.sum(table[name]), Float).label(name) for name in _SUMS)
        return (
            select(is_candidate.label("is_candidate"), *sums)
            .select_from(rollout_usage)
            .join(devices, devices.c.id == table.device_id)
            .outerjoin(rollout_devices, took_it)
            .outerjoin(attestations, said_it)
            .where(table.organisation == self._organisation, devices.c.deleted_at.is_(None))
            .where(table.rollout_id == rollout.id, table.began_at == began_at)
            .where((is_candidate & took_since) | stayed)
            .group_by(table.device_id, table.digest)
        )

    def _is_of(self, device_id: str) -> ColumnElement[bool]:
        own = usage_windows.c.organisation == self._organisation
        return own & (usage_windows.c.device_id == device_id)


def _sums_of(value: ColumnElement[Any]) -> tuple[ColumnElement[Any], ...]:
    """Return what :func:`_spread` takes; where the value is null, nothing is counted."""
    return func.count(value), func.sum(value), func.sum(value * value)


def _arm(*sums: Any) -> ArmUsage:
    return ArmUsage(error_shares=_spread(*sums[:3]), log_latencies=_spread(*sums[3:]))


def _spread(count: int, total: float | None, total_of_squares: float | None) -> Spread:
    return Spread(count=count, total=total or 0.0, total_of_squares=total_of_squares or 0.0)


_NOTHING = _arm(0, 0.0, 0.0, 0, 0.0, 0.0)
