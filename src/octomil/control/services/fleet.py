"""The fleet, as whoever runs it sees it: listed, labelled, grouped, revoked, removed."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from octomil.control.cursors import cursor_of, read_cursor, read_moment
from octomil.control.moments import shown
from octomil.control.ports import Clock, Store, Transaction
from octomil.control.records import Act, Device, DeviceFilter, DeviceOrder
from octomil.control.services.access_tokens import AccessTokens
from octomil.control.services.callers import Caller
from octomil.control.services.devices import no_device, view_of
from octomil.errors import BadRequestError
from octomil.wire.devices import (
    MAX_TAGS,
    DeviceChange,
    DevicePage,
    DeviceRemoved,
    DeviceRevoked,
)

_PLACE_PARTS: Mapping[DeviceOrder, int] = {"id": 1, "identifier": 2, "last_seen": 2}


class FleetService:
    """What can be done with devices by others than themselves.

    Args:
        store: where they are.
        clock: tells the time.
        access_tokens: heeds revocations.
    """

    def __init__(self, store: Store, clock: Clock, access_tokens: AccessTokens) -> None:
        self._store = store
        self._clock = clock
        self._access_tokens = access_tokens

    def page(
        self, caller: Caller, wanted: DeviceFilter, cursor: str | None, limit: int
    ) -> DevicePage:
        """Return the devices of the caller's organisation that a filter lets through.

        Raises:
            BadRequestError: the cursor is of a list in another order.
        """
        caller.require_key()
        after = _place(cursor, wanted.order)
        with self._store.snapshot(caller.organisation) as tx:
            found = tx.devices.page(wanted, after, limit + 1)
        return DevicePage(
            devices=[view_of(device) for device in found[:limit]],
            next_cursor=_cursor(found[limit - 1], wanted.order) if len(found) > limit else None,
        )

    def change(self, caller: Caller, device_id: str, change: DeviceChange) -> Device:
        """Change a device's labels and groups.

        Raises:
            NotFoundError: there is no such device in the caller's organisation.
            BadRequestError: it would have too many labels.
        """
        caller.require_key()
        now = self._clock()
        with self._store.transaction(caller.organisation) as tx:
            device = _present(tx, device_id)
            labels = _merged(device.labels, change.labels or {})
            wanted = device.groups if change.groups is None else change.groups
            groups = tuple(sorted(set(wanted)))
            if len(labels) > MAX_TAGS:
                raise BadRequestError(f"a device has {MAX_TAGS} labels at most; remove some first")
            if (labels, groups) == (device.labels, device.groups):
                return device
            tx.devices.tag(device_id, labels, groups, now)
            details = {"labels": dict(labels), "groups": list(groups)}
            tx.audit.append(_act(caller, "device.tag", device_id, **details), now)
        return replace(device, labels=labels, groups=groups, updated_at=now)

    def revoke(self, caller: Caller, device_id: str) -> DeviceRevoked:
        """End all tokens of a device; it stays registered, and may be bootstrapped again.

        Raises:
            NotFoundError: there is no such device in the caller's organisation.
        """
        caller.require_key()
        now = self._clock()
        with self._store.transaction(caller.organisation) as tx:
            _present(tx, device_id)
            ended = tx.token_families.revoke_all(device_id, "device_revoked", now)
            self._access_tokens.heed(tx, tx.devices.revoke_tokens(device_id, now))
            tx.audit.append(_act(caller, "device.revoke", device_id, refresh_tokens=ended), now)
        return DeviceRevoked(id=device_id, refresh_tokens=ended)

    def remove(self, caller: Caller, device_id: str) -> DeviceRemoved:
        """Forget a device, and end its tokens.

        If the same identifier registers again, it gets the same id and begins anew.

        Raises:
            NotFoundError: there is no such device in the caller's organisation.
        """
        caller.require_key()
        now = self._clock()
        with self._store.transaction(caller.organisation) as tx:
            device = _present(tx, device_id)
            tx.token_families.revoke_all(device_id, "device_deleted", now)
            self._access_tokens.heed(tx, tx.devices.remove(device_id, now))
            tx.device_profiles.delete(device_id)
            details = {"identifier": device.identifier}
            tx.audit.append(_act(caller, "device.delete", device_id, **details), now)
        return DeviceRemoved(id=device_id)


def _present(tx: Transaction, device_id: str) -> Device:
    device = tx.devices.get(device_id)
    if device is None:
        raise no_device(device_id)
    return device


def _merged(labels: Mapping[str, str], change: Mapping[str, str | None]) -> dict[str, str]:
    """Apply a merge patch (RFC 7396)."""
    merged = {**labels, **change}
    return {name: value for name, value in merged.items() if value is not None}


def _cursor(device: Device, order: DeviceOrder) -> str:
    match order:
        case "id":
            return cursor_of("id", device.id)
        case "identifier":
            return cursor_of("identifier", device.identifier, device.id)
        case "last_seen":
            assert device.last_seen_at is not None
            return cursor_of("last_seen", shown(device.last_seen_at), device.id)


def _place(cursor: str | None, order: DeviceOrder) -> Sequence[object] | None:
    place = read_cursor(cursor, order, _PLACE_PARTS[order])
    if place is None:
        return None
    texts = [str(part) for part in place]
    return [read_moment(texts[0]), texts[1]] if order == "last_seen" else texts


def _act(caller: Caller, operation: str, target: str, **details: object) -> Act:
    return Act(actor=caller.actor, operation=operation, target=target, details=details)
