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
    Index,
    RowMapping,
    Select,
    Table,
    func,
    select,
)

from octomil.control.records import RolloutDevice
from octomil.control.stores.columns import PLAIN_TEXT, Moment
from octomil.control.stores.device_table import devices
from octomil.control.stores.schema import metadata, upsert
from octomil.rollouts.device_states import ON_THE_WAY, RUNS_IT, DeviceProgress, DeviceState

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

    def put(self, device: RolloutDevice) -> None:
        """Note where a device stands, in place of what was known."""
        row = {name: getattr(device, name) for name in _PLAIN}
        row |= {name: getattr(device.progress, name) for name in _PROGRESS}
        row |= {"organisation": self._organisation}
        upsert(self._connection, rollout_devices, row)

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

    def silent(self, rollout_id: str, before: datetime, *, limit: int) -> Sequence[RolloutDevice]:
        """Return devices that run the version, are not confirmed, and moved last before then."""
        table = rollout_devices.c
        is_silent = table.state.in_(RUNS_IT) & (table.since <= before)
        return self._found(rollout_id, is_silent, limit=limit)

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


def _device(row: RowMapping) -> RolloutDevice:
    progress = {name: row[name] for name in _PROGRESS}
    states = {name: DeviceState(progress[name]) for name in ("state", "reached")}
    return RolloutDevice(
        **{name: row[name] for name in _PLAIN}, progress=DeviceProgress(**(progress | states))
    )
