"""What devices say that they run, and where they stand with rollouts by it."""

from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial

from octomil.control.ports import Clock, Store, Transaction
from octomil.control.records import Attestation, Rollout, RolloutDevice
from octomil.control.services.callers import Caller
from octomil.control.services.devices import require_itself
from octomil.control.services.last_seen import LastSeen
from octomil.control.services.lookup import require_model
from octomil.registry.manifest import hex_of
from octomil.rollouts.device_states import (
    DeviceProgress,
    DeviceState,
    Report,
    heard,
    let_go,
    offered_again,
)
from octomil.wire.rollouts import AttestationRequest


class AttestationService:
    """Takes devices' words.

    Args:
        store: where they are kept.
        clock: tells the time.
        last_seen: is told of who attests.
    """

    def __init__(self, store: Store, clock: Clock, last_seen: LastSeen) -> None:
        self._store = store
        self._clock = clock
        self._last_seen = last_seen

    def attest(
        self, caller: Caller, device_id: str, request: AttestationRequest
    ) -> tuple[Attestation, float | None]:
        """Note what a device says that it runs. The row itself is the record of it.

        Returns:
            What was noted, and the seconds after which the device should say so again, to confirm
            that it stayed healthy; None where nobody waits for that.

        Raises:
            ForbiddenError: the caller is not that device.
            NotFoundError: there is no such device or model.
            UnauthorizedError: the caller is a device that is not there.
        """
        now = self._clock()
        attestation = Attestation(
            organisation=caller.organisation,
            device_id=device_id,
            model_id=request.model_id,
            number=request.version,
            digest=hex_of(request.digest),
            is_active=request.status == "active",
            message=request.message,
            attested_at=now,
            since=now,
        )
        with self._store.transaction(caller.organisation) as tx:
            require_itself(tx, caller, device_id, "attest what it runs")
            require_model(tx, request.model_id)
            last = tx.attestations.get(device_id, request.model_id)
            confirmed_after_s = _follow(tx, attestation, request.code or "", last)
            if last is not None and _says_the_same(last, attestation):
                attestation = replace(attestation, since=last.since)
            tx.attestations.put(attestation)
            tx.after_commit(partial(self._last_seen.note, device_id))
        return attestation, confirmed_after_s


def _says_the_same(last: Attestation, said: Attestation) -> bool:
    return (last.digest, last.is_active) == (said.digest, said.is_active)


def _follow(
    tx: Transaction, said: Attestation, code: str, last: Attestation | None
) -> float | None:
    """Note where a device stands with the rollout that offers it a version.

    What a device says about a version that is not offered to it moves no rollout.

    Args:
        tx: the organisation's.
        said: what the device says now.
        code: why it cannot run, in one word.
        last: what it said before.

    Returns:
        The seconds until its health window is over, if it is in one.
    """
    layers = tx.rollouts.layers(said.model_id)
    offering = (n for n, each in enumerate(layers) if each.offers(said.device_id))
    number = next(offering, len(layers))
    for each in layers[:number]:
        _let_go(tx, each, said)
    if number == len(layers):
        return None
    rollout, known = layers[number], tx.rollout_devices.get(layers[number].id, said.device_id)
    before = known
    if before is None or _is_first_word(before.progress):
        if said.digest != rollout.digest:
            return None
        before = _first_word(rollout, said, last, known, has_older=number + 1 < len(layers))
    progress = _heard(rollout, before.progress, said, code)
    if before is not known or progress is not before.progress:
        tx.rollout_devices.put(replace(before, progress=progress))
    if progress.state is not DeviceState.CONFIRMING:
        return None
    return max(0.0, (_confirmed_at(rollout, progress) - said.attested_at).total_seconds())


def _let_go(tx: Transaction, rollout: Rollout, said: Attestation) -> None:
    """Expect nothing more of a device that a smaller share took a rollout's version from."""
    known = tx.rollout_devices.get(rollout.id, said.device_id)
    if known is not None and not known.progress.state.has_ended:
        tx.rollout_devices.put(replace(known, progress=let_go(known.progress, said.attested_at)))


def _is_first_word(known: DeviceProgress) -> bool:
    """Tell whether a device attests this version for the first time since it was offered."""
    return known.state is DeviceState.SUPERSEDED or not known.is_attested


def _first_word(
    rollout: Rollout,
    said: Attestation,
    last: Attestation | None,
    known: RolloutDevice | None,
    *,
    has_older: bool,
) -> RolloutDevice:
    """Return where a device stands that took a version and was not heard of since.

    It is evidence if it attested before that it ran another version, or there was none to run.
    """
    return RolloutDevice(
        organisation=said.organisation,
        rollout_id=rollout.id,
        device_id=said.device_id,
        progress=offer_to(rollout, known, said.attested_at),
        taken_at=said.attested_at,
        is_counted=not has_older if last is None else last.is_active,
    )


def offer_to(rollout: Rollout, known: RolloutDevice | None, now: datetime) -> DeviceProgress:
    """Return where a device stands that has the offer of a version, and took no stage with it.

    Args:
        rollout: offers it.
        known: where it stood; one that was let go has another offer.
        now: the time.
    """
    if known is not None and known.progress.state is DeviceState.SUPERSEDED:
        return offered_again(known.progress, rollout.digest, now)
    return DeviceProgress(
        digest=rollout.digest,
        generation=1 if known is None else known.progress.generation,
        state=DeviceState.OFFERED,
        reached=DeviceState.OFFERED,
        since=now,
    )


def _heard(
    rollout: Rollout, progress: DeviceProgress, said: Attestation, code: str
) -> DeviceProgress:
    """Return where a device stands after its word.

    It attests the same twice: when it begins to run the version, and when its window is over. One
    that runs another version again has gone back by itself.
    """

    def after(state: DeviceState, at: DeviceProgress) -> DeviceProgress:
        report = Report(generation=at.generation, state=state, digest=said.digest, code=code)
        return heard(at, report, said.attested_at)

    if said.digest != rollout.digest:
        return after(DeviceState.ROLLED_BACK, progress) if said.is_active else progress
    if not said.is_active:
        return after(DeviceState.FAILED, progress)
    confirming = after(DeviceState.CONFIRMING, progress)
    is_over = said.attested_at >= _confirmed_at(rollout, confirming)
    if confirming.state is DeviceState.CONFIRMING and is_over:
        return after(DeviceState.SUCCEEDED, confirming)
    return confirming


def _confirmed_at(rollout: Rollout, progress: DeviceProgress) -> datetime:
    return progress.since + timedelta(seconds=rollout.plan.health_window_s)
