"""Rollouts: a published version's way to the devices, as people steer it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from octomil.control.cursors import cursor_of, read_cursor
from octomil.control.identifiers import new_id
from octomil.control.ports import Clock, Store, Transaction
from octomil.control.records import Attestation, Rollout, RolloutDevice, Version
from octomil.control.services.blocks import ruled_by
from octomil.control.services.callers import Caller
from octomil.control.services.kept_files import KeptFiles
from octomil.control.services.lookup import held_version, require_model
from octomil.control.services.rollout_changes import note, take
from octomil.control.services.rollout_plans import plan_of
from octomil.errors import BadRequestError, ConflictError, NotFoundError
from octomil.registry.lifecycle import VersionState
from octomil.rollouts import commands
from octomil.rollouts.blocks import BlockedError, refuse_blocked
from octomil.rollouts.plan import PlanError
from octomil.rollouts.states import RolloutState, Transition, TransitionError
from octomil.wire.rollouts import AdvanceRequest, PercentageRequest, RolloutRequest

DeviceCounts = tuple[int, int]
"""How many devices run a rollout's version, and how many cannot."""

_Command = Callable[[Rollout, datetime], Transition | None]
_BY_DEVICE: Final = "rollout_device"
_KEPT: Final = KeptFiles()


@dataclass(frozen=True, slots=True, kw_only=True)
class AffectedDevices:
    """Where some devices stand with a rollout, each with what it attested last.

    Attributes:
        next_cursor: leads to the next page; None on the last.
    """

    devices: Sequence[tuple[RolloutDevice, Attestation | None]]
    next_cursor: str | None


class RolloutService:
    """What can be done with rollouts.

    What sends more devices for a version's files is told what was found of these (`kept`): they may
    be far away, and nobody waits for them within a transaction.

    Args:
        store: where they are.
        clock: tells the time.
    """

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    def create(
        self, caller: Caller, model_id: str, request: RolloutRequest, kept: KeptFiles = _KEPT
    ) -> Rollout:
        """Begin a rollout.

        Raises:
            NotFoundError: there is no such model or version.
            BadRequestError: what is asked makes no sense.
            ConflictError: the version is not published, or it is blocked, or one of its files is
                lost, or another rollout is under way.
            FilesUnansweredError: nobody can tell whether its files are there.
        """
        plan, now = plan_of(request), self._clock()
        with self._store.transaction(caller.organisation) as tx:
            version = _published(tx, model_id, request.version)
            kept.require(version.number)
            rollout = Rollout(
                id=new_id("rol", now),
                organisation=tx.organisation,
                model_id=model_id,
                ordinal=tx.rollouts.next_ordinal(model_id),
                version_id=version.id,
                number=version.number,
                digest=version.digest or "",
                plan=plan,
                created_at=now,
            )
            if not tx.rollouts.add(rollout):
                raise ConflictError(
                    "another rollout of this model is under way; wait for it, or delete it with "
                    "force=true"
                )
            note(tx, caller.actor, "create", rollout, now)
            if request.start_immediately:
                rollout = _obeyed(tx, rollout, _start(caller, ""), now)
        return rollout

    def start(
        self,
        caller: Caller,
        model_id: str,
        rollout_id: str,
        reason: str = "",
        kept: KeptFiles = _KEPT,
    ) -> Rollout:
        """Offer a pending rollout's version to the first devices; once started, nothing changes.

        Raises:
            NotFoundError: there is no such rollout.
            ConflictError: it is paused, or over, or was changed at the same moment; or it would
                send devices for a file that is lost.
            FilesUnansweredError: nobody can tell whether the files are there.
        """
        return self._command(caller, model_id, rollout_id, _start(caller, reason), kept)

    def advance(
        self,
        caller: Caller,
        model_id: str,
        rollout_id: str,
        request: AdvanceRequest,
        kept: KeptFiles = _KEPT,
    ) -> Rollout:
        """Take the next step, whatever the gates say; raises as :meth:`start`.

        Raises:
            BadRequestError: the increment leads nowhere.
        """

        def command(rollout: Rollout, now: datetime) -> Transition:
            return commands.advance(
                rollout.plan,
                rollout.progress,
                now=now,
                actor=caller.actor,
                increment=request.custom_increment,
                reason=request.reason or "",
            )

        return self._command(caller, model_id, rollout_id, command, kept)

    def set_percentage(
        self,
        caller: Caller,
        model_id: str,
        rollout_id: str,
        request: PercentageRequest,
        kept: KeptFiles = _KEPT,
    ) -> Rollout:
        """Let a rollout go up to another share of the devices; raises as :meth:`start`.

        Raises:
            BadRequestError: the share is above the target.
        """

        def command(rollout: Rollout, now: datetime) -> Transition | None:
            return commands.set_percentage(
                rollout.plan,
                rollout.progress,
                request.percentage,
                now=now,
                actor=caller.actor,
                reason=request.reason or "",
            )

        return self._command(caller, model_id, rollout_id, command, kept)

    def pause(self, caller: Caller, model_id: str, rollout_id: str, reason: str = "") -> Rollout:
        """Offer a version to nobody new; raises as :meth:`start`."""
        return self._command(caller, model_id, rollout_id, _by_hand(commands.pause, caller, reason))

    def resume(self, caller: Caller, model_id: str, rollout_id: str, reason: str = "") -> Rollout:
        """Go on after a pause; raises as :meth:`start`."""
        resume = _by_hand(commands.resume, caller, reason)
        return self._command(caller, model_id, rollout_id, resume)

    def roll_back(
        self, caller: Caller, model_id: str, rollout_id: str, reason: str = ""
    ) -> Rollout:
        """Take a version from every device; raises as :meth:`start`."""
        roll_back = _by_hand(commands.roll_back, caller, reason)
        return self._command(caller, model_id, rollout_id, roll_back)

    def list(
        self,
        caller: Caller,
        model_id: str,
        state: RolloutState | None,
        *,
        limit: int,
        offset: int = 0,
    ) -> Sequence[tuple[Rollout, DeviceCounts]]:
        """Return a model's rollouts, newest first, each with how many devices run it and cannot.

        Raises:
            NotFoundError: there is no such model.
        """
        with self._store.snapshot(caller.organisation) as tx:
            require_model(tx, model_id)
            found = tx.rollouts.list(model_id, state, limit=limit, offset=offset)
            counts = tx.attestations.counts(model_id, {each.digest for each in found})
        return [(each, counts[each.digest]) for each in found]

    def under_way(self, caller: Caller, model_id: str) -> Sequence[tuple[Rollout, DeviceCounts]]:
        """Return a model's rollouts that are active or paused, with counts as :meth:`list` does.

        Raises:
            NotFoundError: there is no such model.
        """
        states = RolloutState.ACTIVE, RolloutState.PAUSED
        with self._store.snapshot(caller.organisation) as tx:
            require_model(tx, model_id)
            found = [
                each for state in states for each in tx.rollouts.list(model_id, state, limit=1)
            ]
            counts = tx.attestations.counts(model_id, {each.digest for each in found})
        return [(each, counts[each.digest]) for each in found]

    def get(self, caller: Caller, model_id: str, rollout_id: str) -> tuple[Rollout, DeviceCounts]:
        """Return a rollout, and how many devices run its version and cannot.

        Raises:
            NotFoundError: there is no such rollout.
        """
        with self._store.snapshot(caller.organisation) as tx:
            rollout = _rollout(tx, model_id, rollout_id)
            counts = tx.attestations.counts(model_id, {rollout.digest})
        return rollout, counts[rollout.digest]

    def affected(
        self, caller: Caller, model_id: str, rollout_id: str, cursor: str | None, limit: int
    ) -> AffectedDevices:
        """Return where devices stand with a rollout, by their ids, and what they attested last.

        Raises:
            NotFoundError: there is no such rollout.
            BadRequestError: the cursor is none of this list.
        """
        place = read_cursor(cursor, _BY_DEVICE, 1)
        after = None if place is None else str(place[0])
        with self._store.snapshot(caller.organisation) as tx:
            rollout = _rollout(tx, model_id, rollout_id)
            found = tx.rollout_devices.page(rollout.id, after, limit + 1)
            said = tx.attestations.of_devices(model_id, {each.device_id for each in found[:limit]})
        return AffectedDevices(
            devices=[(each, said.get(each.device_id)) for each in found[:limit]],
            next_cursor=(
                cursor_of(_BY_DEVICE, found[limit - 1].device_id) if len(found) > limit else None
            ),
        )

    def history(
        self, caller: Caller, model_id: str, rollout_id: str, *, limit: int, offset: int = 0
    ) -> Sequence[Transition]:
        """Return what happened to a rollout, oldest first.

        Raises:
            NotFoundError: there is no such rollout.
        """
        with self._store.snapshot(caller.organisation) as tx:
            rollout = _rollout(tx, model_id, rollout_id)
            return tx.rollouts.history(rollout.id, limit=limit, offset=offset)

    def delete(self, caller: Caller, model_id: str, rollout_id: str, *, force: bool) -> None:
        """Remove a rollout; the devices are told to run what was rolled out before it.

        Raises:
            NotFoundError: there is no such rollout.
            ConflictError: devices are told to run its version, and `force` is not given; or it was
                changed at the same moment.
        """
        now = self._clock()
        with self._store.transaction(caller.organisation) as tx:
            rollout = _rollout(tx, model_id, rollout_id)
            if not force and any(each.id == rollout.id for each in tx.rollouts.layers(model_id)):
                raise ConflictError(
                    "devices are told to run its version; delete it with force=true"
                )
            if rollout.state.is_open:
                withdraw = _by_hand(commands.roll_back, caller, "deleted")
                rollout = _obeyed(tx, rollout, withdraw, now)
            if not tx.rollouts.remove(rollout, now):
                raise _changed()
            note(tx, caller.actor, "delete", rollout, now)

    def _command(
        self,
        caller: Caller,
        model_id: str,
        rollout_id: str,
        command: _Command,
        kept: KeptFiles = _KEPT,
    ) -> Rollout:
        now = self._clock()
        with self._store.transaction(caller.organisation) as tx:
            return _obeyed(tx, _rollout(tx, model_id, rollout_id), command, now, kept)


def _start(caller: Caller, reason: str) -> _Command:
    def command(rollout: Rollout, now: datetime) -> Transition | None:
        plan, progress = rollout.plan, rollout.progress
        return commands.start(plan, progress, now=now, actor=caller.actor, reason=reason)

    return command


def _by_hand(act: Callable[..., Transition | None], caller: Caller, reason: str) -> _Command:
    """Return one of the commands that need no plan."""
    return lambda rollout, now: act(rollout.progress, now=now, actor=caller.actor, reason=reason)


def _obeyed(
    tx: Transaction,
    rollout: Rollout,
    command: _Command,
    now: datetime,
    kept: KeptFiles = _KEPT,
) -> Rollout:
    """Return a rollout after a command; the same if that changes nothing.

    Raises:
        BadRequestError: the command makes no sense.
        ConflictError: the rollout cannot do that from where it stands, or was changed meanwhile, or
            devices would be sent for a file that is lost.
        FilesUnansweredError: nobody can tell whether the files are there.
    """
    try:
        transition = command(rollout, now)
    except TransitionError as error:
        raise ConflictError(str(error)) from error
    except PlanError as error:
        raise BadRequestError(str(error)) from error
    if transition is None:
        return rollout
    if transition.offers_to_more:
        kept.require(rollout.number)
    changed = take(tx, rollout, transition)
    if changed is None:
        raise _changed()
    return changed


def _published(tx: Transaction, model_id: str, number: str) -> Version:
    version = held_version(tx, model_id, number)
    if version.state is not VersionState.PUBLISHED:
        raise ConflictError(f"version {number} is {version.state}; only published ones roll out")
    known_by = ruled_by(version)
    try:
        refuse_blocked(known_by, tx.rulings.of(known_by))
    except BlockedError as error:
        raise ConflictError(f"version {number}: {error}") from error
    return version


def _rollout(tx: Transaction, model_id: str, rollout_id: str) -> Rollout:
    found = tx.rollouts.get(model_id, rollout_id)
    if found is None:
        raise NotFoundError(f"the model has no rollout {rollout_id!r}")
    return found


def _changed() -> ConflictError:
    return ConflictError("the rollout was changed at the same moment; look at it again")
