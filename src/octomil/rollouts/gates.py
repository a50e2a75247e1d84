"""The gates: whether what was seen lets a version go on, stops it, or says too little.

They may be looked at after every report. Devices that fail are counted (`octomil.rollouts.excess`).
Errors and latencies are means over devices, not over requests: the requests of one device are
alike, and counting each would make little evidence look like much (`mean_difference`).
"""

import math
from collections.abc import Callable, Sequence

from epochly.inference.statistics import Moments, mean_difference
from octomil.rollouts.evidence import Arm, Observation
from octomil.rollouts.excess import Tally, is_above, is_below
from octomil.rollouts.findings import Finding, Judgement, Verdict
from octomil.rollouts.limits import Excess, Limits, spent_in


def judge(
    limits: Limits,
    observation: Observation,
    *,
    step: int,
    is_settled: bool,
    reached: int | None = None,
) -> Judgement:
    """Weigh what was seen since a step began.

    Args:
        limits: what to measure by.
        observation: what was seen.
        step: 1 for the first.
        is_settled: whether every device that was offered the version has had its time.
        reached: devices that the step was offered to so far; by default those that were heard of.
    """
    findings = (
        _device_finding(limits, observation, step, is_settled=is_settled, reached=reached or 0),
        _error_finding(limits, observation, step),
        _latency_finding(limits, observation, step),
    )
    return Judgement(_together(findings), findings)


def _together(findings: Sequence[Finding]) -> Verdict:
    verdicts = {each.verdict for each in findings if not each.is_waived}
    if Verdict.BREACH in verdicts:
        return Verdict.BREACH
    return Verdict.INCONCLUSIVE if Verdict.INCONCLUSIVE in verdicts else Verdict.PASS


def _device_finding(
    limits: Limits, observation: Observation, step: int, *, is_settled: bool, reached: int
) -> Finding:
    candidate, baseline = observation.candidate, observation.baseline
    has_baseline = baseline.devices >= limits.minimum_sample
    verdict = _rate_verdict(limits, candidate, baseline if has_baseline else None, step)
    if candidate.devices < limits.minimum_sample and verdict is not Verdict.BREACH:
        wanted = min(reached, limits.minimum_sample)
        verdict = _few_verdict(candidate, wanted) if is_settled else Verdict.INCONCLUSIVE
        if verdict is Verdict.PASS and awaits_more(limits, observation):
            verdict = Verdict.INCONCLUSIVE
    if observation.reaches_nobody and not candidate.devices:
        return _nobody_finding()
    compared = (
        f"{baseline.failed} of {baseline.devices} on the version before"
        if has_baseline
        else f"{limits.expected_failures:.1%} are expected"
    )
    more = observation.on_the_way
    awaited = f"; {more} more on the way" if awaits_more(limits, observation) else ""
    return Finding(
        gate="devices",
        verdict=verdict,
        devices=candidate.devices,
        candidate=candidate.failed / candidate.devices if candidate.devices else None,
        baseline=baseline.failed / baseline.devices if has_baseline else None,
        reason=f"{candidate.failed} of {candidate.devices} devices failed, {compared}{awaited}",
    )


def awaits_more(limits: Limits, observation: Observation) -> bool:
    """Tell whether there are so few devices that those on their way are waited for."""
    has_few = observation.candidate.devices < limits.minimum_sample
    return has_few and observation.on_the_way > 0


def _nobody_finding() -> Finding:
    """Nothing can be learnt where a step has no device in it, and nobody is put at risk."""
    return Finding(
        gate="devices",
        verdict=Verdict.PASS,
        devices=0,
        candidate=None,
        baseline=None,
        reason="no device of the fleet is in what the step offers so far",
    )


def _few_verdict(arm: Arm, wanted: int) -> Verdict:
    """Below the minimum sample: all healthy, or hold; half of them failed, or more, stops it.

    One device that failed alone stops it only if it is half of those that are `wanted`, too: it
    may be the first that spoke, as failures are heard at once, and every fleet has a broken one.
    """
    if arm.devices == 0:
        return Verdict.INCONCLUSIVE
    if arm.failed == 0:
        return Verdict.PASS
    is_half, is_alone = 2 * arm.failed >= arm.devices, arm.failed == 1 and wanted > 2
    return Verdict.BREACH if is_half and not is_alone else Verdict.INCONCLUSIVE


def _rate_verdict(limits: Limits, new: Arm, old: Arm | None, step: int) -> Verdict:
    """Weigh the share of devices that fail; who is under way is taken for what speaks against."""
    alarm = spent_in(step, limits.false_alarm)
    high_old: Tally | float = limits.expected_failures
    low_old: Tally | float = limits.expected_failures
    if old is not None:
        high_old = Tally(old.failed, old.devices)
        low_old = Tally(old.failed, old.devices + old.under_way)
    if is_above(Tally(new.failed, new.devices + new.under_way), high_old, limits.devices, alarm):
        return Verdict.BREACH
    if is_below(Tally(new.failed, new.devices), low_old, limits.devices, limits.missed):
        return Verdict.PASS
    return Verdict.INCONCLUSIVE


def _error_finding(limits: Limits, observation: Observation, step: int) -> Finding:
    arms = observation.candidate.error_shares, observation.baseline.error_shares
    return _mean_finding("errors", limits, limits.errors, arms, step, float)


def _latency_finding(limits: Limits, observation: Observation, step: int) -> Finding:
    arms = observation.candidate.log_latencies, observation.baseline.log_latencies
    relative = limits.latency
    in_logarithms = Excess(
        math.log1p(relative.tolerated), math.log1p(relative.unacceptable), relative.is_required
    )
    return _mean_finding("latency", limits, in_logarithms, arms, step, math.exp)


def _mean_finding(
    gate: str,
    limits: Limits,
    excess: Excess,
    arms: tuple[Moments | None, Moments | None],
    step: int,
    shown: Callable[[float], float],
) -> Finding:
    """Weigh the means of two arms; `shown` turns one into what people read."""
    candidate, baseline = arms
    devices = 0 if candidate is None else int(candidate.count)
    others = 0 if baseline is None else int(baseline.count)
    if candidate is None or baseline is None or min(devices, others) < limits.minimum_sample:
        return Finding(
            gate=gate,
            verdict=Verdict.INCONCLUSIVE,
            devices=devices,
            candidate=None,
            baseline=None,
            reason=f"{gate}: {devices} and {others} devices report it, which are too few",
            is_waived=not excess.is_required,
        )
    new, old = shown(float(candidate.mean)), shown(float(baseline.mean))
    return Finding(
        gate=gate,
        verdict=_mean_verdict(limits, excess, candidate, baseline, step),
        devices=devices,
        candidate=new,
        baseline=old,
        reason=f"{gate}: {new:.3g} over {devices} devices, {old:.3g} on the version before",
    )


def _mean_verdict(
    limits: Limits, excess: Excess, candidate: Moments, baseline: Moments, step: int
) -> Verdict:
    tuned_for = limits.minimum_sample
    alarm = spent_in(step, limits.false_alarm)
    found = mean_difference(baseline, candidate, alpha=alarm, tuned_for=tuned_for)
    if found.low > excess.tolerated:
        return Verdict.BREACH
    found = mean_difference(baseline, candidate, alpha=limits.missed, tuned_for=tuned_for)
    return Verdict.PASS if found.high < excess.unacceptable else Verdict.INCONCLUSIVE
