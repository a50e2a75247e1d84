"""Rollouts: a published version's way to the devices, and their word that they run it.

So far a rollout goes to all devices at once; shares of them, steps and gates are refused.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import count
from threading import Lock
from typing import Any, NoReturn

from octomil.control.identifiers import new_id
from octomil.control.plan_numbers import EPOCH_SETTING, epoch_at, plan_number
from octomil.control.ports import Clock, Store, Transaction
from octomil.control.records import Act, Attestation, Rollout, RolloutStatus, Version
from octomil.control.services.assignments import Plan, Plans
from octomil.control.services.callers import Caller
from octomil.control.services.devices import no_device
from octomil.control.services.last_seen import LastSeen
from octomil.control.services.lookup import held_version, require_model
from octomil.control.services.offers import signed_assignments
from octomil.errors import ConflictError, ForbiddenError, NotFoundError, NotImplementedYetError
from octomil.registry.lifecycle import VersionState
from octomil.registry.manifest import hex_of
from octomil.wire.rollouts import AttestationRequest, RolloutRequest

REFRESHED_S = 2.0
"""So long a replica may go on handing out assignments that another one has changed."""

_ALL = 100.0


class RolloutService:
    """What can be done with rollouts.

    Args:
        store: where they are.
        clock: tells the time.
        plans: what devices are told; `refresh` brings it up to date.
        last_seen: is told of who attests.
    """

    def __init__(self, store: Store, clock: Clock, plans: Plans, last_seen: LastSeen) -> None:
        self._store = store
        self._clock = clock
        self._last_seen = last_seen
        self._plans = plans
        self._looks, self._latest = count(1), 0
        self._lock = Lock()
        self._begin_epoch()
        self.refresh()

    def create(self, caller: Caller, model_id: str, request: RolloutRequest) -> Rollout:
        """Begin a rollout.

        Raises:
            NotFoundError: there is no such model or version.
            ConflictError: the version is not published, or another rollout is under way.
            NotImplementedYetError: it is for a share of the devices.
        """
        if request.rollout_percentage != _ALL:
            raise NotImplementedYetError(
                f"a rollout to {request.rollout_percentage:g} % of the devices is not possible "
                "yet; send rollout_percentage 100"
            )
        now = self._clock()
        with self._store.transaction(caller.organisation) as tx:
            version = _published(tx, model_id, request.version)
            rollout = Rollout(
                id=new_id("rol", now),
                organisation=tx.organisation,
                model_id=model_id,
                version_id=version.id,
                number=version.number,
                digest=version.digest or "",
                status=RolloutStatus.PENDING,
                rollout_percentage=request.rollout_percentage,
                target_percentage=request.target_percentage,
                increment_step=request.increment_step,
                created_at=now,
            )
            if not tx.rollouts.add(rollout):
                raise ConflictError(
                    "another rollout of this model is under way; wait for it, or delete it with "
                    "force=true"
                )
            if request.start_immediately:
                rollout = self._offer(tx, rollout)
            self._note(tx, caller.actor, "rollout.create", rollout)
        return rollout

    def start(self, caller: Caller, model_id: str, rollout_id: str) -> Rollout:
        """Offer a pending rollout's version to the devices; once started, this changes nothing.

        Raises:
            NotFoundError: there is no such rollout.
            ConflictError: it is over.
        """
        with self._store.transaction(caller.organisation) as tx:
            rollout = _rollout(tx, model_id, rollout_id)
            if rollout.status is RolloutStatus.ACTIVE:
                return rollout
            if rollout.status is not RolloutStatus.PENDING:
                raise ConflictError(f"the rollout is {rollout.status}; begin another")
            rollout = self._offer(tx, rollout)
            self._note(tx, caller.actor, "rollout.start", rollout)
        return rollout

    def list(
        self,
        caller: Caller,
        model_id: str,
        status: RolloutStatus | None,
        *,
        limit: int,
        offset: int = 0,
    ) -> Sequence[tuple[Rollout, tuple[int, int]]]:
        """Return a model's rollouts, newest first, each with how many devices run it and cannot.

        Raises:
            NotFoundError: there is no such model.
        """
        with self._store.snapshot(caller.organisation) as tx:
            require_model(tx, model_id)
            found = tx.rollouts.list(model_id, status, limit=limit, offset=offset)
            counts = tx.attestations.counts(model_id, {each.digest for each in found})
        return [(each, counts[each.digest]) for each in found]

    def get(
        self, caller: Caller, model_id: str, rollout_id: str
    ) -> tuple[Rollout, tuple[int, int]]:
        """Return a rollout, and how many devices run its version and cannot.

        Raises:
            NotFoundError: there is no such rollout.
        """
        with self._store.snapshot(caller.organisation) as tx:
            rollout = _rollout(tx, model_id, rollout_id)
            counts = tx.attestations.counts(model_id, {rollout.digest})
        return rollout, counts[rollout.digest]

    def affected(
        self, caller: Caller, model_id: str, rollout_id: str, *, limit: int, offset: int = 0
    ) -> Sequence[Attestation]:
        """Return what devices attested about a rollout's version, by their ids.

        Raises:
            NotFoundError: there is no such rollout.
        """
        with self._store.snapshot(caller.organisation) as tx:
            rollout = _rollout(tx, model_id, rollout_id)
            return tx.attestations.list(model_id, rollout.digest, limit=limit, offset=offset)

    def delete(self, caller: Caller, model_id: str, rollout_id: str, *, force: bool) -> None:
        """Remove a rollout; the devices are told to run what was rolled out before it.

        Raises:
            NotFoundError: there is no such rollout.
            ConflictError: devices are told to run its version, and `force` is not given.
        """
        now = self._clock()
        with self._store.transaction(caller.organisation) as tx:
            rollout = _rollout(tx, model_id, rollout_id)
            if rollout.is_offered and not force:
                raise ConflictError(
                    "devices are told to run its version; delete it with force=true"
                )
            changes: dict[str, Any] = {"deleted_at": now, "is_offered": False}
            if rollout.status.is_open:
                changes["status"] = RolloutStatus.ROLLED_BACK
            _change(tx, rollout, changes)
            before = tx.rollouts.last_completed(model_id) if rollout.is_offered else None
            if before is not None:
                _change(tx, before, {"is_offered": True})
            self._note(tx, caller.actor, "rollout.delete", rollout)

    def attest(self, caller: Caller, device_id: str, request: AttestationRequest) -> Attestation:
        """Note what a device says that it runs. The row itself is the record of it.

        Raises:
            ForbiddenError: the caller is not that device.
            NotFoundError: there is no such device or model.
        """
        if caller.device_id != device_id:
            self._refuse_for_another(caller, device_id)
        attestation = Attestation(
            organisation=caller.organisation,
            device_id=device_id,
            model_id=request.model_id,
            number=request.version,
            digest=hex_of(request.digest),
            is_active=request.status == "active",
            message=request.message,
            attested_at=self._clock(),
        )
        with self._store.transaction(caller.organisation) as tx:
            require_model(tx, request.model_id)
            tx.attestations.put(attestation)
            tx.after_commit(partial(self._last_seen.note, device_id))
        return attestation

    def _refuse_for_another(self, caller: Caller, device_id: str) -> NoReturn:
        with self._store.snapshot(caller.organisation) as tx:
            if tx.devices.get(device_id) is None:
                raise no_device(device_id)
        raise ForbiddenError(f"only {device_id!r} itself can attest what it runs")

    def refresh(self) -> None:
        """Tell devices what the store says, whichever replica changed it.

        Of two that look at once neither waits, and what the later one saw stays.
        """
        look = next(self._looks)
        with self._store.system_snapshot() as tx:
            epoch = int(tx.setting(EPOCH_SETTING) or 0)
            changes, offers = tx.offers.versions(), _by_owner(tx.offers.all())
            keys, names = tx.offers.keys(), tx.offers.names()
        plans = {}
        for owner, n in changes.items():
            number, key = plan_number(epoch, n), keys.get(owner)
            known = self._plans.of(owner)
            if key is None:  # it offers nothing
                plans[owner] = Plan(number)
            elif (known.version, known.key_id) == (number, key.id):
                plans[owner] = known
            else:
                signed = signed_assignments(key, offers[owner], names, number)
                plans[owner] = Plan(number, signed, key.id)
        with self._lock:
            if look > self._latest:
                self._latest = look
                self._plans.replace(plans, epoch)

    def _begin_epoch(self) -> None:
        """Let plans be counted from now on, where they were never counted before."""
        with self._store.system_snapshot() as look:
            if look.setting(EPOCH_SETTING) is not None:
                return
        with self._store.system() as tx:
            if tx.setting(EPOCH_SETTING) is None:
                tx.put_setting(EPOCH_SETTING, str(epoch_at(self._clock())))

    def _offer(self, tx: Transaction, rollout: Rollout) -> Rollout:
        before = tx.rollouts.offered(rollout.model_id)
        if before is not None:
            _change(tx, before, {"is_offered": False})
        now = self._clock()
        changes = {"status": RolloutStatus.ACTIVE, "is_offered": True, "started_at": now}
        return _change(tx, rollout, changes)

    def _note(self, tx: Transaction, actor: str, operation: str, rollout: Rollout) -> None:
        details = {"model_id": rollout.model_id, "version": rollout.number}
        act = Act(actor=actor, operation=operation, target=rollout.id, details=details)
        tx.audit.append(act, self._clock())


def _by_owner(offered: Sequence[Rollout]) -> Mapping[str, Sequence[Rollout]]:
    """Return the rollouts of each organisation that has some."""
    found: dict[str, list[Rollout]] = defaultdict(list)
    for each in offered:
        found[each.organisation].append(each)
    return found


def _published(tx: Transaction, model_id: str, number: str) -> Version:
    version = held_version(tx, model_id, number)
    if version.state is not VersionState.PUBLISHED:
        raise ConflictError(f"version {number} is {version.state}; only published ones roll out")
    return version


def _rollout(tx: Transaction, model_id: str, rollout_id: str) -> Rollout:
    found = tx.rollouts.get(model_id, rollout_id)
    if found is None:
        raise NotFoundError(f"the model has no rollout {rollout_id!r}")
    return found


def _change(tx: Transaction, rollout: Rollout, changes: dict[str, Any]) -> Rollout:
    if not tx.rollouts.change(rollout, changes):
        raise ConflictError("the rollout was changed at the same moment; look at it again")
    return replace(rollout, **changes, revision=rollout.revision + 1)
