"""What devices are told to run: read from the store, kept in memory, brought up to date."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import count, groupby
from threading import Lock

from octomil.control.plan_numbers import EPOCH_SETTING, epoch_at, plan_number
from octomil.control.ports import Clock, Store
from octomil.control.records import ManifestKey, Rollout
from octomil.control.services.assignments import FleetPlan, Layer, ModelLayers, PlanKey, Plans
from octomil.registry.manifest import DIGEST_PREFIX
from octomil.registry.signatures import Signer
from octomil.rollouts.buckets import salt_prefix, threshold
from octomil.rollouts.states import RolloutState

REFRESHED_S = 0.5
"""So long a replica may go on handing out assignments that another one has changed."""


class Offers:
    """Keeps what polls are answered from as the store has it.

    Args:
        store: where the rollouts are.
        clock: tells the time.
        plans: what devices are told; `refresh` brings it up to date.
    """

    def __init__(self, store: Store, clock: Clock, plans: Plans) -> None:
        self._store = store
        self._plans = plans
        self._looks, self._latest = count(1), 0
        self._lock = Lock()
        self._begin_epoch(clock)
        self.refresh()

    def refresh(self) -> None:
        """Tell devices what the store says, whichever replica changed it.

        Of two that look at once neither waits, and what the later one saw stays. Only what changed
        is read: the plan of who has another number, or another key.
        """
        look = next(self._looks)
        with self._store.system_snapshot() as tx:
            epoch = int(tx.setting(EPOCH_SETTING) or 0)
            keys, numbers = tx.offers.keys(), tx.offers.numbers()
            plans = {
                owner: _begun(self._plans.of(owner), plan_number(epoch, n), keys.get(owner))
                for owner, n in numbers.items()
            }
            changed = {owner for owner, plan in plans.items() if plan is not self._plans.of(owner)}
            layers = tx.offers.layers(changed) if changed else ()
        for owner, of_owner in groupby(layers, lambda each: each[0].organisation):
            plans[owner] = replace(plans[owner], models=_layered(of_owner))
        with self._lock:
            if look > self._latest:
                self._latest = look
                self._plans.replace(plans, epoch)

    def _begin_epoch(self, clock: Clock) -> None:
        """Let plans be counted from now on, where they were never counted before."""
        with self._store.system_snapshot() as look:
            if look.setting(EPOCH_SETTING) is not None:
                return
        with self._store.system() as tx:
            if tx.setting(EPOCH_SETTING) is None:
                tx.put_setting(EPOCH_SETTING, str(epoch_at(clock())))


def _begun(known: FleetPlan, number: int, key: ManifestKey | None) -> FleetPlan:
    """Return the plan that is known, if it is still the one; else another, still without models."""
    if key is None:  # then nothing was ever published, so nothing can be offered
        return known if known == FleetPlan(number=number) else FleetPlan(number=number)
    if known.key is None or known.key.id != key.id:
        return FleetPlan(number=number, key=PlanKey(id=key.id, signer=Signer(key.private)))
    return known if known.number == number else FleetPlan(number=number, key=known.key)


def _layered(rollouts: Iterable[tuple[Rollout, str]]) -> Sequence[ModelLayers]:
    return tuple(
        ModelLayers(
            model_id=model_id, name=name, layers=tuple(_layer(each) for each, _ in of_model)
        )
        for (model_id, name), of_model in groupby(
            rollouts, lambda each: (each[0].model_id, each[1])
        )
    )


def _layer(rollout: Rollout) -> Layer:
    return Layer(
        salt=salt_prefix(rollout.id),
        limit=threshold(rollout.progress.offered_percentage),
        version=rollout.number,
        digest=DIGEST_PREFIX + rollout.digest,
        is_held=rollout.state is RolloutState.PAUSED,
    )
