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
from octomil.control.stores.rollout_devices import rollout_devices
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
        table, began_at = rollout_usage.c, rollout.progress.began_at
        is_candidate = table.digest == rollout.digest
        took = _took(rollout)
        counts = took.where(
            rollout_devices.c.is_counted, rollout_devices.c.taken_at >= began_at
        ).exists()
        said = attestations.c
        ran_already = (
            select(said.device_id)
            .where(said.device_id == table.device_id, said.model_id == rollout.model_id)
            .where(said.digest == table.digest, said.is_active, said.since < began_at)
            .correlate(rollout_usage)
            .exists()
        )
        return (
            self._arm(rollout, is_candidate & counts),
            self._arm(rollout, ~is_candidate & ran_already & ~took.exists()),
        )

    def _arm(self, rollout: Rollout, belongs: ColumnElement[bool]) -> ArmUsage:
        table = rollout_usage.c
        sums = [cast(func.sum(table[name]), Float).label(name) for name in _SUMS]
        each = (
            select(table.device_id, *sums)
            .join(devices, devices.c.id == table.device_id)
            .where(table.organisation == self._organisation, devices.c.deleted_at.is_(None))
            .where(table.rollout_id == rollout.id, table.began_at == rollout.progress.began_at)
            .where(belongs)
            .group_by(table.device_id)
            .subquery()
        )
        ended_well = func.nullif(each.c.requests - each.c.errors, 0)
        values = (each.c.errors / each.c.requests, each.c.log_latency_ms_sum / ended_well)
        query = select(*(column for value in values for column in _sums_of(value)))
        found = self._connection.execute(query).one()
        return ArmUsage(error_shares=_spread(*found[:3]), log_latencies=_spread(*found[3:]))

    def _is_of(self, device_id: str) -> ColumnElement[bool]:
        own = usage_windows.c.organisation == self._organisation
        return own & (usage_windows.c.device_id == device_id)


def _took(rollout: Rollout) -> Select[Any]:
    """Select the device of a row of usage where it took a rollout's version."""
    return (
        select(rollout_devices.c.device_id)
        .where(
            rollout_devices.c.rollout_id == rollout.id,
            rollout_devices.c.device_id == rollout_usage.c.device_id,
        )
        .correlate(rollout_usage)
    )


def _sums_of(value: ColumnElement[Any]) -> tuple[ColumnElement[Any], ...]:
    """Return what :func:`_spread` takes; where the value is null, nothing is counted."""
    return func.count(value), func.sum(value), func.sum(value * value)


def _spread(count: int, total: float | None, total_of_squares: float | None) -> Spread:
    return Spread(count=count, total=total or 0.0, total_of_squares=total_of_squares or 0.0)
