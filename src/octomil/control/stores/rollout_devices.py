"""Where devices stand with the rollouts whose versions they took."""

from collections.abc import Sequence
from dataclasses import fields
from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ColumnElement,
    Connection,
    ForeignKey,
    FromClause,
    Index,
    RowMapping,
    Select,
    Table,
    func,
    literal_column,
    select,
)

from octomil.control.records import RolloutDevice
from octomil.control.stores.columns import PLAIN_TEXT, Moment
from octomil.control.stores.device_table import devices
from octomil.control.stores.schema import metadata, upsert
from octomil.rollouts.device_states import (
    ON_THE_WAY,
    RUNS_IT,
    UNFINISHED,
    DeviceProgress,
    DeviceState,
)

rollout_devices = Table(
    "rollout_devices",
    metadata,
    Column("rollout_id", PLAIN_TEXT, ForeignKey("rollouts.id"), primary_key=True),
    Column("device_id", PLAIN_TEXT, ForeignKey("devices.id"), primary_key=True),
    Column("organisation", PLAIN_TEXT, ForeignKey("organisations.id"), nullable=False),
    Column("digest", PLAIN_TEXT, nullable=False),
    Column("generation", BigInteger, nullable=False),
    Column("state", PLAIN_TEXT, nullable=False),
    Column("reached", PLAIN_TEXT, nullable=False),
    Column("since", Moment, nullable=False),
    Column("code", PLAIN_TEXT, nullable=False),
    Column("taken_at", Moment, nullable=False),
    Column("is_counted", Boolean, nullable=False),
    Index("ix_rollout_devices_rollout_id_state_since", "rollout_id", "state", "since"),
)


def is_unfinished(table: FromClause) -> ColumnElement[bool]:
    """Tell which devices came to no end: literally as the index below, which serves no others."""
    return table.c.state.in_([literal_column(f"'{each}'") for each in sorted(UNFINISHED)])


Index(
    "ix_rollout_devices_unfinished",
    rollout_devices.c.rollout_id,
    rollout_devices.c.since,
    rollout_devices.c.state,  # or SQLite would rather read through an index that has it
    sqlite_where=is_unfinished(rollout_devices),
    postgresql_where=is_unfinished(rollout_devices),
)

HAS_TAKEN = rollout_devices.c.reached.not_in(sorted(ON_THE_WAY))
"""Of devices that attested about the version; others are still on their way to it."""

_PROGRESS = tuple(field.name for field in fields(DeviceProgress))
_PLAIN = tuple(each.name for each in fields(RolloutDevice) if each.name != "progress")


class RolloutDeviceRows:
    """Where the devices of an organisation stand."""

    def __init__(self, connection: Connection, organisation: str) -> None:
        self._connection = connection
        self._own = rollout_devices.c.organisation == organisation
        self._organisation = organisation

    def put(self, *some: RolloutDevice) -> None:
        """Note where devices stand, in place of what was known."""
        upsert(self._connection, rollout_devices, *(self._row(each) for each in some))

    def get(self, rollout_id: str, device_id: str) -> RolloutDevice | None:
        """Return where a device stands."""
        found = self._found(rollout_id, rollout_devices.c.device_id == device_id)
        return found[0] if found else None

    def page(self, rollout_id: str, after: str | None, limit: int) -> Sequence[RolloutDevice]:
        """Return where the first devices behind an id stand; see the port."""
        return self._read(page_query(self._organisation, rollout_id, after).limit(limit))

    def tally(self, rollout_id: str, since: datetime) -> Sequence[tuple[DeviceProgress, int]]:
        """Count the devices that are evidence and took the version since a moment."""
        table = rollout_devices.c
        kinds = (table.state, table.reached, table.code)
        query = (
            select(*kinds, func.count())
            .join(devices, devices.c.id == table.device_id)
            .where(self._own, table.rollout_id == rollout_id, devices.c.deleted_at.is_(None))
            .where(table.is_counted, table.taken_at >= since)
            .group_by(*kinds)
        )
        return [
            (
                DeviceProgress(
                    digest="",
                    generation=0,
                    state=DeviceState(state),
                    reached=DeviceState(reached),
                    since=since,
                    code=code,
                ),
                number,
            )
            for state, reached, code, number in self._connection.execute(query)
        ]

    def on_the_way(self, rollout_id: str, since: datetime) -> int:
        """Count the devices that told a stage after a moment, and have attested nothing yet."""
        table = rollout_devices.c
        query = (
            select(func.count())
            .join_from(rollout_devices, devices, devices.c.id == table.device_id)
            .where(self._own, table.rollout_id == rollout_id, devices.c.deleted_at.is_(None))
            .where(table.state.in_(ON_THE_WAY), table.since > since)
        )
        return self._connection.execute(query).scalar_one()

    def silent(self, rollout_id: str, before: datetime, *, limit: int) -> Sequence[RolloutDevice]:
        """Return devices that run the version, are not confirmed, and moved last before then."""
        table = rollout_devices.c
        is_silent = table.state.in_(RUNS_IT) & (table.since <= before)
        return self._found(rollout_id, is_silent, limit=limit)

    def unfinished(
        self, rollout_id: str, until: datetime, *, limit: int
    ) -> Sequence[RolloutDevice]:
        """Return devices that came to no end and moved last by then, the longest ago first."""
        return self._read(unfinished_query(self._organisation, rollout_id, until).limit(limit))

    def _row(self, device: RolloutDevice) -> dict[str, Any]:
        row = {name: getattr(device, name) for name in _PLAIN}
        row |= {name: getattr(device.progress, name) for name in _PROGRESS}
        return row | {"organisation": self._organisation}

    def _found(
        self, rollout_id: str, *conditions: ColumnElement[bool], limit: int | None = None
    ) -> Sequence[RolloutDevice]:
        query = page_query(self._organisation, rollout_id, None)
        return self._read(query.where(*conditions).limit(limit))

    def _read(self, query: Select[Any]) -> Sequence[RolloutDevice]:
        return [_device(row) for row in self._connection.execute(query).mappings()]


def page_query(organisation: str, rollout_id: str, after: str | None) -> Select[Any]:
    """Return what finds a page's rows along the primary key; without a limit."""
    table = rollout_devices.c
    of_it = (table.organisation == organisation) & (table.rollout_id == rollout_id)
    query = select(rollout_devices).where(of_it).order_by(table.device_id)
    return query if after is None else query.where(table.device_id > after)


def unfinished_query(organisation: str, rollout_id: str, until: datetime) -> Select[Any]:
    """Return what finds those that came to no end along their own index; without a limit."""
    table = rollout_devices.c
    of_it = (table.organisation == organisation) & (table.rollout_id == rollout_id)
    query = select(rollout_devices).where(of_it, is_unfinished(rollout_devices))
    return query.where(table.since <= until).order_by(table.since)


def unfinished_since(rollout_id: ColumnElement[str]) -> Select[tuple[datetime]]:
    """Return what finds when the first of a rollout's devices moved that came to no end."""
    table = rollout_devices.alias("unfinished_of_it")
    of_it = is_unfinished(table) & (table.c.rollout_id == rollout_id)
    return select(table.c.since).where(of_it).order_by(table.c.since).limit(1)


def unfinished_rollouts() -> Select[tuple[str]]:
    """Return what finds the rollouts with devices that came to no end.

    It goes from one rollout to the next along the index, past the devices of each: what it costs
    grows with the number of those rollouts alone.
    """
    first = rollout_devices.alias("first_unfinished")
    found = (
        select(func.min(first.c.rollout_id).label("rollout_id"))
        .where(is_unfinished(first))
        .cte("unfinished", recursive=True)
    )
    further = rollout_devices.alias("further_unfinished")
    following = select(func.min(further.c.rollout_id)).where(
        is_unfinished(further), further.c.rollout_id > found.c.rollout_id
    )
    step = select(following.correlate(found).scalar_subquery()).where(
        found.c.rollout_id.is_not(None)
    )
    return select(found.union_all(step).c.rollout_id)


def _device(row: RowMapping) -> RolloutDevice:
    progress = {name: row[name] for name in _PROGRESS}
    states = {name: DeviceState(progress[name]) for name in ("state", "reached")}
    return RolloutDevice(
        **{name: row[name] for name in _PLAIN}, progress=DeviceProgress(**(progress | states))
    )
