"""Rollouts, their history and their devices, as the API shows them."""

from octomil.control.moments import shown, shown_or_none
from octomil.control.records import Attestation, Rollout, RolloutDevice
from octomil.control.services.last_looks import LastLook
from octomil.control.services.rollouts import AffectedDevices
from octomil.registry.manifest import DIGEST_PREFIX
from octomil.rollouts.blocks import Ruling
from octomil.rollouts.findings import Finding, Judgement
from octomil.rollouts.limits import Excess, Limits
from octomil.rollouts.plan import Pacing
from octomil.rollouts.states import RolloutState, Transition
from octomil.wire.rollout_plans import GatesView, GateView, PacingView
from octomil.wire.rollouts import (
    AttestationView,
    BlockView,
    FindingView,
    RolloutDevicePage,
    RolloutDeviceView,
    RolloutView,
    TransitionView,
)


def rollout_view(
    rollout: Rollout, devices: tuple[int, int] = (0, 0), look: LastLook | None = None
) -> RolloutView:
    """Return a rollout.

    Args:
        rollout: what to show.
        devices: how many run its version, and how many cannot.
        look: what it waited for when it was looked at last.
    """
    plan, progress = rollout.plan, rollout.progress
    return RolloutView(
        id=rollout.id,
        model_id=rollout.model_id,
        version=rollout.number,
        digest=DIGEST_PREFIX + rollout.digest,
        status=progress.state,
        step=progress.step,
        rollout_percentage=progress.percentage if progress.step else plan.rollout_percentage,
        offered_percentage=progress.offered_percentage,
        target_percentage=plan.target_percentage,
        increment_step=plan.increment_step,
        automatic=plan.is_automatic,
        health_window_s=plan.health_window_s,
        dwell_s=plan.dwell_s,
        patience_s=plan.patience_s,
        pacing=_pacing_view(plan.pacing),
        gates=_gates_view(plan.limits),
        active_devices=devices[0],
        failed_devices=devices[1],
        waits_for=_waits_for(rollout, look),
        next_at=None if look is None else shown_or_none(look.next_at),
        evidence=_evidence(None if look is None else look.judgement),
        looked_at=None if look is None else shown(look.at),
        revision=progress.revision,
        created_at=shown(rollout.created_at),
        started_at=shown_or_none(rollout.started_at),
        completed_at=shown_or_none(rollout.completed_at),
    )


def _waits_for(rollout: Rollout, look: LastLook | None) -> str | None:
    if rollout.state is RolloutState.PENDING:
        return "somebody to start it"
    return None if look is None else look.waits_for


def _pacing_view(pacing: Pacing) -> PacingView:
    return PacingView(
        first_percentage=pacing.first_percentage,
        growth=pacing.growth,
        interval_s=pacing.interval_s,
    )


def _gates_view(limits: Limits) -> GatesView:
    return GatesView(
        devices=_gate_view(limits.devices),
        errors=_gate_view(limits.errors),
        latency=_gate_view(limits.latency),
        minimum_sample=limits.minimum_sample,
        sufficient_sample=limits.sufficient_sample,
        expected_failures=limits.expected_failures,
    )


def _gate_view(excess: Excess) -> GateView:
    return GateView(
        tolerated=excess.tolerated,
        unacceptable=excess.unacceptable,
        required=excess.is_required,
    )


def transition_view(transition: Transition) -> TransitionView:
    """Return an entry of a history."""
    after, judgement = transition.after, transition.judgement
    return TransitionView(
        revision=after.revision,
        action=transition.action,
        from_status=transition.before.state,
        status=after.state,
        step=after.step,
        percentage=after.percentage,
        offered_percentage=after.offered_percentage,
        at=shown(transition.at),
        actor=transition.actor,
        reason=transition.reason,
        evidence=_evidence(judgement),
    )


def _evidence(judgement: Judgement | None) -> list[FindingView]:
    return [] if judgement is None else [_finding_view(each) for each in judgement.findings]


def _finding_view(finding: Finding) -> FindingView:
    return FindingView(
        gate=finding.gate,
        verdict=finding.verdict,
        devices=finding.devices,
        candidate=finding.candidate,
        baseline=finding.baseline,
        reason=finding.reason,
        is_waived=finding.is_waived,
    )


def rollout_device_page(model_id: str, found: AffectedDevices) -> RolloutDevicePage:
    """Return a page of where devices stand with a rollout of a model."""
    return RolloutDevicePage(
        devices=[_rollout_device_view(model_id, *each) for each in found.devices],
        next_cursor=found.next_cursor,
    )


def _rollout_device_view(
    rollout_model: str, device: RolloutDevice, said: Attestation | None
) -> RolloutDeviceView:
    """Return where a device stands, and what it attested last of the model."""
    attested = None if said is None else attestation_view(said)
    return RolloutDeviceView(
        device_id=device.device_id,
        state=device.progress.state,
        code=device.progress.code or None,
        since=shown(device.progress.since),
        model_id=rollout_model,
        version=None if attested is None else attested.version,
        digest=None if attested is None else attested.digest,
        status=None if attested is None else attested.status,
        message=None if attested is None else attested.message,
        attested_at=None if attested is None else attested.attested_at,
    )


def attestation_view(
    attestation: Attestation, confirmed_after_s: float | None = None
) -> AttestationView:
    """Return an attestation, and when the device should say the same again."""
    return AttestationView(
        device_id=attestation.device_id,
        model_id=attestation.model_id,
        version=attestation.number,
        digest=DIGEST_PREFIX + attestation.digest,
        status="active" if attestation.is_active else "failed",
        message=attestation.message,
        attested_at=shown(attestation.attested_at),
        confirmed_after_s=confirmed_after_s,
    )


def block_view(version: str, block: Ruling | None) -> BlockView:
    """Return whether a version may be rolled out."""
    return BlockView(
        version=version,
        is_blocked=block is not None,
        reason=None if block is None else block.reason,
        since=None if block is None else shown(block.at),
    )
