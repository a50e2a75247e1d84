"""Ending what devices were at when their rollout was over: nobody steers it any more."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final

from octomil.control.ports import Clock, Store
from octomil.control.records import Rollout, RolloutDevice
from octomil.rollouts.endings import ended, silent_since

AT_ONCE: Final = 500
"""So many devices are ended in one transaction: other calls come in between."""


class EndedRollouts:
    """Lets the devices of withdrawn rollouts go, and gives up on the silent ones of completed ones.

    Several replicas may do so at once: who has ended stays so.

    Args:
        store: where they stand.
        clock: tells the time.
    """

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    def left(self) -> Sequence[Rollout]:
        """Return the rollouts of all organisations that are over, and have devices to end now."""
        now = self._clock()
        with self._store.system_snapshot() as tx:
            return [each for each, since in tx.offers.unfinished() if since <= _latest(each, now)]

    def end_some(self, rollout: Rollout) -> bool:
        """End some of a rollout's devices; tell whether there may be more."""
        now = self._clock()
        with self._store.transaction(rollout.organisation) as tx:
            layers = () if rollout.is_withdrawn else tx.rollouts.layers(rollout.model_id)
            latest = _latest(rollout, now)
            found = tx.rollout_devices.unfinished(rollout.id, latest, limit=AT_ONCE)
            tx.rollout_devices.put(*(_ended(each, rollout, layers, now) for each in found))
        return len(found) == AT_ONCE


def _ended(
    device: RolloutDevice, rollout: Rollout, layers: Sequence[Rollout], now: datetime
) -> RolloutDevice:
    """Return where a device stands by what it is told to run."""
    telling = next((each.id for each in layers if each.offers(device.device_id)), None)
    progress = ended(
        device.progress,
        health_window_s=rollout.plan.health_window_s,
        is_told=telling == rollout.id,
        now=now,
    )
    return replace(device, progress=progress)


def _latest(rollout: Rollout, now: datetime) -> datetime:
    """Return the moment by which a device must have moved last to be ended."""
    return now if rollout.is_withdrawn else silent_since(rollout.plan.health_window_s, now)
