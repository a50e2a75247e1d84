"""What devices are told to run: read from the store, kept in memory, brought up to date."""

from collections.abc import Iterable, Sequence
from itertools import groupby
from threading import Lock

from octomil.control.plan_numbers import EPOCH_SETTING, epoch_at, plan_number
from octomil.control.ports import Clock, Store, Transaction
from octomil.control.records import Rollout
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
        self._lock = Lock()  # so that of two that refresh, the later look is the one that stays
        self._begin_epoch(clock)
        self.refresh()

    def refresh(self) -> None:
        """Tell devices what the store says, whichever replica changed it."""
        with self._lock:
            with self._store.system_snapshot() as tx:
                epoch = int(tx.setting(EPOCH_SETTING) or 0)
                numbers = tx.offers.numbers()
            plans = {owner: self._planned(owner, epoch, n) for owner, n in numbers.items()}
            self._plans.replace(plans, epoch)

    def _planned(self, organisation: str, epoch: int, changes: int) -> FleetPlan:
        """Return what an organisation's devices are told; only what changed is read again."""
        known = self._plans.of(organisation)
        if known.number == plan_number(epoch, changes):
            return known
        with self._store.snapshot(organisation) as tx:  # the number is that of these very rows
            return FleetPlan(
                number=plan_number(epoch, tx.rollouts.number()),
                models=_layered(tx, tx.rollouts.layers()),
                key=_key(tx),
            )

    def _begin_epoch(self, clock: Clock) -> None:
        """Let plans be counted from now on, where they were never counted before."""
        with self._store.system_snapshot() as look:
            if look.setting(EPOCH_SETTING) is not None:
                return
        with self._store.system() as tx:
            if tx.setting(EPOCH_SETTING) is None:
                tx.put_setting(EPOCH_SETTING, str(epoch_at(clock())))


def _key(tx: Transaction) -> PlanKey | None:
    key = tx.manifest_keys.current()
    return None if key is None else PlanKey(id=key.id, signer=Signer(key.private))


def _layered(tx: Transaction, rollouts: Sequence[Rollout]) -> Sequence[ModelLayers]:
    names = tx.models.names({each.model_id for each in rollouts})
    return tuple(
        ModelLayers(model_id=model_id, name=names[model_id], layers=_layers(of_model))
        for model_id, of_model in groupby(rollouts, lambda each: each.model_id)
        if model_id in names  # else it was removed a moment ago
    )


def _layers(rollouts: Iterable[Rollout]) -> Sequence[Layer]:
    return tuple(
        Layer(
            salt=salt_prefix(each.id),
            limit=threshold(each.progress.offered_percentage),
            version=each.number,
            digest=DIGEST_PREFIX + each.digest,
            is_held=each.state is RolloutState.PAUSED,
        )
        for each in rollouts
    )
