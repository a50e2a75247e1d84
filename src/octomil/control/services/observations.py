"""What a rollout's gates look at, read from the store."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final, TypedDict

from epochly.inference.statistics import Moments
from octomil.control.ports import Transaction
from octomil.control.records import ArmUsage, Rollout, Spread
from octomil.rollouts.buckets import PLACES, place_of, threshold
from octomil.rollouts.device_states import AWAITED, Outcome
from octomil.rollouts.endings import silent_since
from octomil.rollouts.evidence import Arm, Observation

_COUNTED: Final = 1_000
"""Devices of a fleet up to which those of a step are counted, one by one."""


def observed(tx: Transaction, rollout: Rollout, now: datetime) -> Observation:
    """Return what was seen since a rollout's step began."""
    began_at = rollout.progress.began_at
    if began_at is None:
        return Observation(fleet=tx.devices.count())
    fleet = tx.devices.count()
    window_s = rollout.plan.health_window_s
    devices, failed = tx.attestations.others(
        rollout,
        since=began_at,
        seen_until=began_at + timedelta(seconds=window_s),
        silent_before=silent_since(window_s, now),
    )
    new, old = tx.usage.tally(rollout)
    candidate = _candidate(tx, rollout, began_at)
    on_the_way = 0
    if candidate.devices < rollout.plan.limits.minimum_sample:  # else nobody asks
        on_the_way = tx.rollout_devices.on_the_way(rollout.id, now - AWAITED)
    return Observation(
        fleet=fleet,
        candidate=_with_usage(candidate, new),
        baseline=_with_usage(Arm(devices=devices, failed=failed), old),
        on_the_way=on_the_way,
        **(_counted(tx, rollout) if fleet <= _COUNTED else {}),
    )


class _Counted(TypedDict, total=False):
    """What `Observation` says of a step's devices, where they are counted."""

    reached: int
    next_place: int


def _counted(tx: Transaction, rollout: Rollout) -> _Counted:
    """Count the devices of a rollout's step; in small fleets they differ from its shares."""
    step = rollout.progress
    places = [place_of(rollout.id, each) for each in tx.devices.ids()]
    before, offered = threshold(step.base_percentage), threshold(step.offered_percentage)
    return _Counted(
        reached=sum(before <= each < offered for each in places),
        next_place=min((each for each in places if each >= offered), default=PLACES),
    )


def _candidate(tx: Transaction, rollout: Rollout, began_at: datetime) -> Arm:
    healthy = broken = under_way = 0
    for progress, number in tx.rollout_devices.tally(rollout.id, began_at):
        if progress.state.is_under_way:
            under_way += number
        elif progress.outcome is Outcome.HEALTHY:
            healthy += number
        elif progress.outcome is Outcome.BROKEN:
            broken += number
    return Arm(devices=healthy + broken, failed=broken, under_way=under_way)


def _with_usage(arm: Arm, usage: ArmUsage) -> Arm:
    return replace(
        arm,
        error_shares=_moments(usage.error_shares),
        log_latencies=_moments(usage.log_latencies),
    )


def _moments(spread: Spread) -> Moments:
    return Moments.of_sums(spread.count, spread.total, spread.total_of_squares)
