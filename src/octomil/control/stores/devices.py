"""Devices."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, RowMapping, bindparam, func, select, update

from octomil.control.records import Device, DeviceFilter, Profile, Revocation
from octomil.control.stores.device_lists import device_page, tags_of, write_tags
from octomil.control.stores.device_table import devices
from octomil.control.stores.schema import insert_new

_PROFILE = tuple(Profile.__dataclass_fields__)

_SIGHTING = (
    update(devices)
    .where(
        devices.c.id == bindparam("device_id"),
        (devices.c.last_seen_at.is_(None)) | (devices.c.last_seen_at < bindparam("moment")),
    )
    .values(last_seen_at=bindparam("moment"))
)


class DeviceRows:
    """The devices of an organisation."""

    def __init__(self, connection: Connection, organisation: str) -> None:
        self._connection = connection
        self._own = (devices.c.organisation == organisation) & devices.c.deleted_at.is_(None)
        self._removed = (devices.c.organisation == organisation) & devices.c.deleted_at.is_not(None)
        self._organisation = organisation

    def add(self, device: Device) -> bool:
        """Add a device; return False, and change nothing, if its identifier is taken."""
        row = {
            "id": device.id,
            "organisation": self._organisation,
            "identifier": device.identifier,
            **_columns(device.profile),
            "generation": device.generation,
            "created_at": device.created_at,
            "updated_at": device.updated_at,
            "last_seen_at": device.last_seen_at,
            "labels": dict(device.labels),
            "groups": list(device.groups),
        }
        if not insert_new(self._connection, devices, row):
            return False
        if tags := tags_of(device.labels, device.groups):
            write_tags(self._connection, self._organisation, device.id, tags)
        return True

    def get(self, device_id: str) -> Device | None:
        """Return a device by its id."""
        return self._one(devices.c.id == device_id)

    def count(self) -> int:
        """Return how many there are."""
        query = select(func.count()).select_from(devices).where(self._own)
        return int(self._connection.execute(query).scalar_one())

    def ids(self) -> Sequence[str]:
        """Return the ids of all."""
        return self._connection.execute(select(devices.c.id).where(self._own)).scalars().all()

    def find(self, identifier: str) -> Device | None:
        """Return a device by what it calls itself."""
        return self._one(devices.c.identifier == identifier)

    def update_profile(self, device_id: str, profile: Profile, now: datetime) -> None:
        """Replace what a device says about itself."""
        change = update(devices).where(self._own, devices.c.id == device_id)
        self._connection.execute(change.values(**_columns(profile), updated_at=now))

    def tag(
        self, device_id: str, labels: Mapping[str, str], groups: Sequence[str], now: datetime
    ) -> None:
        """Replace a device's labels and groups; `groups` is sorted."""
        change = update(devices).where(self._own, devices.c.id == device_id)
        values = {"labels": dict(labels), "groups": list(groups), "updated_at": now}
        if self._connection.execute(change.values(values)).rowcount == 1:
            tags = tags_of(labels, groups)
            write_tags(self._connection, self._organisation, device_id, tags)

    def page(
        self, wanted: DeviceFilter, after: Sequence[object] | None, limit: int
    ) -> Sequence[Device]:
        """Return the next devices in the order that `wanted` has."""
        rows = device_page(self._connection, self._organisation, wanted, after, limit)
        return [_device(row) for row in rows]

    def remove(self, device_id: str, now: datetime) -> Revocation | None:
        """Make a device unknown, and its access tokens void; None if there is none."""
        if self.get(device_id) is None:
            return None
        self.tag(device_id, {}, (), now)
        revocation = self.revoke_tokens(device_id, now)
        change = update(devices).where(self._own, devices.c.id == device_id)
        self._connection.execute(change.values(deleted_at=now))
        return revocation

    def restore(self, identifier: str, profile: Profile, now: datetime) -> Device | None:
        """Bring a removed device back as if it were new; None if none of that name was removed."""
        change = update(devices).where(self._removed, devices.c.identifier == identifier)
        fresh = {"created_at": now, "updated_at": now, "last_seen_at": None, "deleted_at": None}
        done = self._connection.execute(change.values(**_columns(profile), **fresh))
        return self.find(identifier) if done.rowcount == 1 else None

    def revoke_tokens(self, device_id: str, now: datetime) -> Revocation:
        """Void every access token that a device has.

        Raises:
            LookupError: there is no such device.
        """
        change = (
            update(devices)
            .where(self._own, devices.c.id == device_id)
            .values(generation=devices.c.generation + 1, tokens_revoked_at=now)
            .returning(devices.c.generation)
        )
        generation = self._connection.execute(change).scalar_one_or_none()
        if generation is None:
            raise LookupError(device_id)
        return Revocation(device_id=device_id, generation=generation)

    def _one(self, condition: ColumnElement[bool]) -> Device | None:
        query = select(devices).where(self._own, condition)
        row = self._connection.execute(query).mappings().one_or_none()
        return None if row is None else _device(row)


def revocations(connection: Connection, since: datetime) -> Sequence[Revocation]:
    """Return whose access tokens were voided since a moment, whosever they are."""
    query = select(devices.c.id, devices.c.generation).where(devices.c.tokens_revoked_at >= since)
    return [Revocation(device_id=row.id, generation=row.generation) for row in
            connection.execute(query)]  # fmt: skip


def note_last_seen(connection: Connection, seen: Iterable[tuple[str, datetime]]) -> None:
    """Note when devices were last seen, by id, in one statement for all."""
    rows = [{"device_id": device_id, "moment": moment} for device_id, moment in sorted(seen)]
    if rows:
        connection.execute(_SIGHTING, rows)


def _columns(profile: Profile) -> dict[str, Any]:
    return {name: getattr(profile, name) for name in _PROFILE}


def _device(row: RowMapping) -> Device:
    return Device(
        id=row["id"],
        organisation=row["organisation"],
        identifier=row["identifier"],
        profile=Profile(**{name: row[name] for name in _PROFILE}),
        generation=row["generation"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        last_seen_at=row["last_seen_at"],
        labels=row["labels"],
        groups=tuple(row["groups"]),
    )
