"""When a rollout is complete: once every device of its organisation attests that it runs it."""

from collections.abc import Sequence

from octomil.control.ports import Clock, Store
from octomil.control.records import Act, DeviceFilter, Rollout, RolloutStatus

_EVERY_DEVICE = DeviceFilter()


class RolloutCompletion:
    """Looks whether rollouts are complete, and says so; used by one job at a time.

    Args:
        store: where they are.
        clock: tells the time.
    """

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._lacked: dict[str, str] = {}

    def under_way(self) -> Sequence[Rollout]:
        """Return the rollouts of all organisations that may have become complete."""
        with self._store.system_snapshot() as tx:
            found = tx.offers.active()
        known = {each.id for each in found}
        self._lacked = {id_: device for id_, device in self._lacked.items() if id_ in known}
        return found

    def is_complete(self, rollout: Rollout) -> bool:
        """Tell whether there are devices, and all of them run it.

        It begins with the device that did not the last time: so long as that one does not, nobody
        else is looked at.
        """
        begin = self._lacked.get(rollout.id, "")
        with self._store.snapshot(rollout.organisation) as tx:
            lacking = tx.rollouts.first_lacking(rollout, begin)
            if lacking is None and begin:
                lacking = tx.rollouts.first_lacking(rollout)
            if lacking is None:
                return bool(tx.devices.page(_EVERY_DEVICE, None, 1))
        self._lacked[rollout.id] = lacking
        return False

    def complete(self, rollout: Rollout) -> None:
        """Note that a rollout is complete, unless somebody changed it meanwhile."""
        now = self._clock()
        changes = {"status": RolloutStatus.COMPLETED, "completed_at": now}
        details = {"model_id": rollout.model_id, "version": rollout.number}
        act = Act(actor="system", operation="rollout.complete", target=rollout.id, details=details)
        with self._store.transaction(rollout.organisation) as tx:
            if tx.rollouts.change(rollout, changes):
                tx.audit.append(act, now)
