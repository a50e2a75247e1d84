"""What devices measure of themselves: how fast models run there."""

from collections import Counter
from dataclasses import asdict
from functools import partial

from octomil.control.moments import shown
from octomil.control.ports import Clock, Store
from octomil.control.records import Act, DeviceProfile
from octomil.control.services.callers import Caller
from octomil.control.services.devices import no_device
from octomil.control.services.placement import device_of
from octomil.control.services.speeds import Speeds
from octomil.errors import BadRequestError, NotFoundError
from octomil.placement.devices import HardwareKind
from octomil.placement.speeds import ModelSpeed, pace_of
from octomil.wire.placement import HardwareFinding, MeasuredModel, ProfileUpload, ProfileView


class ProfileService:
    """What can be done with devices' profiles.

    Args:
        store: where they are.
        clock: tells the time.
        speeds: is told when one changes.
    """

    def __init__(self, store: Store, clock: Clock, speeds: Speeds) -> None:
        self._store = store
        self._clock = clock
        self._speeds = speeds

    def put(self, caller: Caller, device_id: str, upload: ProfileUpload) -> DeviceProfile:
        """Keep what a device measured, in place of what it measured before.

        Raises:
            ForbiddenError: the caller is another device.
            NotFoundError: there is no such device in the caller's organisation.
            BadRequestError: a model is there twice.
        """
        caller.require_device(device_id)
        _require_once(upload)
        profile = self._profile(device_id, upload)
        with self._store.transaction(caller.organisation) as tx:
            if tx.devices.get(device_id) is None:
                raise no_device(device_id)
            tx.device_profiles.put(profile)
            details = {"models": [each.model for each in profile.speeds]}
            act = Act(
                actor=caller.actor, operation="device.profile", target=device_id, details=details
            )
            tx.audit.append(act, profile.measured_at)
            tx.after_commit(partial(self._speeds.forget, caller.organisation))
        return profile

    def get(self, caller: Caller, device_id: str) -> DeviceProfile:
        """Return a device's profile.

        Raises:
            ForbiddenError: the caller is another device.
            NotFoundError: there is no such device in the caller's organisation, or it has none.
        """
        caller.require_device(device_id)
        with self._store.snapshot(caller.organisation) as tx:
            profile = tx.device_profiles.get(device_id)
            if profile is not None:
                return profile
            if tx.devices.get(device_id) is None:
                raise no_device(device_id)
        raise NotFoundError(
            f"the device {device_id!r} has no profile; `octomil device profile` makes one there"
        )

    def _profile(self, device_id: str, upload: ProfileUpload) -> DeviceProfile:
        device = device_of(upload)
        speeds = [
            ModelSpeed(
                model=each.model_id, size_mb=each.model_size_mb, tokens_per_s=each.tokens_per_s
            )
            for each in upload.models
        ]
        return DeviceProfile(
            device_id=device_id,
            kind=HardwareKind(device.platform, device.device_class, upload.accelerator),
            ms_per_mb=pace_of(speeds),
            speeds=tuple(sorted(speeds, key=lambda speed: speed.model)),
            content=asdict(upload),
            measured_at=self._clock(),
        )


def view_of(profile: DeviceProfile) -> ProfileView:
    """Return a profile as the API shows it."""
    content = dict(profile.content)
    models = [MeasuredModel(**each) for each in content.pop("models")]
    hardware = [HardwareFinding(**each) for each in content.pop("hardware") or ()]
    return ProfileView(
        **content,
        device_id=profile.device_id,
        models=models,
        hardware=hardware,
        device_class=profile.kind.device_class,
        ms_per_mb=profile.ms_per_mb,
        measured_at=shown(profile.measured_at),
    )


def _require_once(upload: ProfileUpload) -> None:
    counts = Counter(each.model_id for each in upload.models)
    for model_id, count in counts.items():
        if count > 1:
            raise BadRequestError(f"models: {model_id!r} is there {count} times; send it once")
