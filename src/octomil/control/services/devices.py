"""Devices: registered, and looked at."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial

from octomil.control.identifiers import new_id
from octomil.control.moments import shown, shown_or_none
from octomil.control.ports import Clock, Store, Transaction
from octomil.control.records import EMPTY_PROFILE, Act, Device, Profile
from octomil.control.services.callers import Caller
from octomil.control.services.last_seen import LastSeen
from octomil.errors import ForbiddenError, NotFoundError, UnauthorizedError
from octomil.wire.devices import DeviceRegistration, DeviceView


class DeviceService:
    """What can be done with devices.

    Args:
        store: where they are.
        clock: tells the time.
        last_seen: is told of who registers.
    """

    def __init__(self, store: Store, clock: Clock, last_seen: LastSeen) -> None:
        self._store = store
        self._clock = clock
        self._last_seen = last_seen

    def register(self, caller: Caller, registration: DeviceRegistration) -> Device:
        """Register a device, or bring up to date what is known about it.

        A device that starts again registers again, so the same identifier is the same device.

        Raises:
            ForbiddenError: the caller is another device, or a bootstrap token.
            UnauthorizedError: the caller is a device that is not there.
        """
        if caller.bootstrap_id is not None:
            raise ForbiddenError("a bootstrap token registers by POST /device-auth/bootstrap alone")
        caller.require_organisation(registration.org_id)
        profile = profile_of(registration)
        with self._store.transaction(caller.organisation) as tx:
            if caller.device_id is not None and tx.devices.get(caller.device_id) is None:
                raise _forgotten(caller)
            device = self.ensure(tx, caller, registration.device_identifier, profile)
            if caller.device_id not in (None, device.id):
                raise ForbiddenError(
                    f"{caller.actor} is not {registration.device_identifier!r}; register with the "
                    "identifier that its tokens were given out for"
                )
            tx.after_commit(partial(self._last_seen.note, device.id))
            if device.profile == profile:
                return device
            return self._update(tx, caller, device, profile)

    def get(self, caller: Caller, device_id: str) -> Device:
        """Return a device.

        Raises:
            ForbiddenError: the caller is another device.
            NotFoundError: there is no such device in the caller's organisation.
        """
        caller.require_device(device_id)
        with self._store.snapshot(caller.organisation) as tx:
            device = tx.devices.get(device_id)
        if device is None:
            raise no_device(device_id)
        return device

    def ensure(
        self,
        tx: Transaction,
        caller: Caller,
        identifier: str,
        profile: Profile = EMPTY_PROFILE,
        *,
        labels: Mapping[str, str] | None = None,
        groups: Sequence[str] = (),
    ) -> Device:
        """Return the device of that identifier; if need be it is added, with what is given."""
        known = tx.devices.find(identifier)
        if known is not None:
            return known
        now = self._clock()
        device = Device(
            id=new_id("dev", now),
            organisation=tx.organisation,
            identifier=identifier,
            profile=profile,
            generation=0,
            created_at=now,
            updated_at=now,
            labels=labels or {},
            groups=tuple(groups),
        )
        if not tx.devices.add(device):
            device = self._restored(tx, device) or device
            if (added := tx.devices.find(identifier)) != device:  # somebody was faster
                assert added is not None
                return added
        self._note(tx, caller, "device.register", device)
        return device

    def _restored(self, tx: Transaction, device: Device) -> Device | None:
        """Bring a device that was removed back as `device` is, under the id it had."""
        now = self._clock()
        restored = tx.devices.restore(device.identifier, device.profile, now)
        if restored is None:
            return None
        tx.devices.tag(restored.id, device.labels, device.groups, now)
        return replace(restored, labels=device.labels, groups=device.groups)

    def _update(self, tx: Transaction, caller: Caller, device: Device, profile: Profile) -> Device:
        now = self._clock()
        tx.devices.update_profile(device.id, profile, now)
        self._note(tx, caller, "device.update", device)
        return replace(device, profile=profile, updated_at=now)

    def _note(self, tx: Transaction, caller: Caller, operation: str, device: Device) -> None:
        details = {"identifier": device.identifier}
        act = Act(actor=caller.actor, operation=operation, target=device.id, details=details)
        tx.audit.append(act, self._clock())


def require_itself(tx: Transaction, caller: Caller, device_id: str, act: str) -> None:
    """Return if the caller is a device, and that one.

    Args:
        tx: where devices are.
        caller: who asks.
        device_id: for whom it speaks.
        act: what only the device itself can do, for the message.

    Raises:
        ForbiddenError: it is somebody else.
        NotFoundError: there is no such device.
        UnauthorizedError: it is itself, and not there.
    """
    is_there, is_itself = tx.devices.get(device_id) is not None, caller.device_id == device_id
    if not is_there:
        raise _forgotten(caller) if is_itself else no_device(device_id)
    if not is_itself:
        raise ForbiddenError(f"only {device_id!r} itself can {act}")


def _forgotten(caller: Caller) -> UnauthorizedError:
    """Return the error for a device whose token outlived its row, as one does after a restore."""
    return UnauthorizedError(
        f"{caller.actor} is not there any more, or came after the backup that was restored; "
        "refresh its tokens, or bootstrap again"
    )


def no_device(device_id: str) -> NotFoundError:
    """Return the error for a device that is not there."""
    return NotFoundError(f"there is no device {device_id!r}")


def profile_of(registration: DeviceRegistration) -> Profile:
    """Return what a registration says about its device."""
    return Profile(
        platform=registration.platform,
        os_version=registration.os_version,
        sdk_version=registration.sdk_version,
        app_version=registration.app_version,
        metadata=registration.metadata or {},
        capabilities=registration.capabilities or {},
        feature_schema=registration.feature_schema,
    )


def view_of(device: Device) -> DeviceView:
    """Return a device as the API shows it."""
    profile = device.profile
    return DeviceView(
        id=device.id,
        device_identifier=device.identifier,
        org_id=device.organisation,
        platform=profile.platform,
        os_version=profile.os_version,
        sdk_version=profile.sdk_version,
        app_version=profile.app_version,
        metadata=dict(profile.metadata),
        capabilities=dict(profile.capabilities),
        feature_schema=profile.feature_schema,
        status="active",
        created_at=shown(device.created_at),
        updated_at=shown(device.updated_at),
        last_seen_at=shown_or_none(device.last_seen_at),
        labels=dict(device.labels),
        groups=list(device.groups),
    )
