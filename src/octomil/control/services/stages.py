"""How far devices are with versions that they were offered: heard in memory, written in batches.

It is there to be seen, and is no evidence: gates go by what devices attest, which is durable before
it is answered. A crash loses the stages of some seconds, and the next thing that is heard of the
device mends that.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import groupby, islice
from threading import Lock
from typing import Final

from octomil.control.ports import Clock, Store, Transaction
from octomil.control.records import Rollout, RolloutDevice
from octomil.control.services.assignments import Plans
from octomil.control.services.attestations import offer_to
from octomil.control.services.callers import Caller
from octomil.control.services.devices import require_itself
from octomil.control.services.last_seen import LastSeen
from octomil.registry.manifest import hex_of
from octomil.rollouts.device_states import DeviceState, Report, heard
from octomil.wire.rollouts import StageRequest

AT_ONCE: Final = 500
"""So many are written together: a fleet that sets out together holds up no other call for long."""

_Whose = tuple[str, str, str]
"""Of which organisation, device and model."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Note:
    digest: str
    state: DeviceState
    at: datetime


class Stages:
    """Notes how far devices are, in whichever thread; of each device and model, the last.

    Args:
        store: where the notes go.
        clock: tells the time.
        plans: what devices are offered; what is said of anything else is passed over.
        last_seen: is told of who says something.
    """

    def __init__(self, store: Store, clock: Clock, plans: Plans, last_seen: LastSeen) -> None:
        self._store = store
        self._clock = clock
        self._plans = plans
        self._last_seen = last_seen
        self._noted: dict[_Whose, _Note] = {}
        self._lock = Lock()

    def __len__(self) -> int:
        return len(self._noted)

    def tell(self, caller: Caller, device_id: str, request: StageRequest) -> bool:
        """Note how far a device is; return whether it is offered that version.

        Raises:
            ForbiddenError: the caller is not that device.
            NotFoundError: there is no such device.
            UnauthorizedError: the caller is a device that is not there.
        """
        with self._store.snapshot(caller.organisation) as tx:
            require_itself(tx, caller, device_id, "tell how far it is")
        self._last_seen.note(device_id)
        plan = self._plans.of(caller.organisation)
        if not plan.offers(device_id, request.model_id, request.digest):
            return False
        state, digest = DeviceState(request.stage), hex_of(request.digest)
        note = _Note(digest=digest, state=state, at=self._clock())
        with self._lock:
            self._noted[caller.organisation, device_id, request.model_id] = note
        return True

    def take(self) -> Mapping[_Whose, _Note]:
        """Return some of what was noted since the last time, the oldest first."""
        with self._lock:
            taken = dict(islice(self._noted.items(), AT_ONCE))
            for whose in taken:
                del self._noted[whose]
        return taken

    def write(self, noted: Mapping[_Whose, _Note]) -> None:
        """Write notes down, all at once."""
        ordered = sorted(noted)  # in one order no two replicas lock each other
        for organisation, of_it in groupby(ordered, key=lambda whose: whose[0]):
            with self._store.transaction(organisation) as tx:
                _write(tx, ((whose, noted[whose]) for whose in of_it))

    def put_back(self, noted: Mapping[_Whose, _Note], error: BaseException) -> None:
        """Keep notes for the next time, whyever they were not written; newer ones win."""
        with self._lock:
            self._noted = {**noted, **self._noted}


def _write(tx: Transaction, notes: Iterable[tuple[_Whose, _Note]]) -> None:
    """Write notes of one organisation down."""
    layers: dict[str, Sequence[Rollout]] = {}
    for (_, device_id, model_id), note in notes:
        if model_id not in layers:
            layers[model_id] = tx.rollouts.layers(model_id)
        offering = (each for each in layers[model_id] if each.offers(device_id))
        rollout = next(offering, None)
        if rollout is None or rollout.digest != note.digest:
            continue  # it is offered another one by now
        known = tx.rollout_devices.get(rollout.id, device_id)
        before = known
        if before is None or before.progress.state is DeviceState.SUPERSEDED:
            before = _on_its_way(rollout, device_id, known, note.at)
        report = Report(generation=before.progress.generation, state=note.state)
        progress = heard(before.progress, report, note.at)
        if progress is not before.progress:
            tx.rollout_devices.put(replace(before, progress=progress))


def _on_its_way(
    rollout: Rollout, device_id: str, known: RolloutDevice | None, now: datetime
) -> RolloutDevice:
    return RolloutDevice(
        organisation=rollout.organisation,
        rollout_id=rollout.id,
        device_id=device_id,
        progress=offer_to(rollout, known, now),
        taken_at=now,
        is_counted=False,
    )
