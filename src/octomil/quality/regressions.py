"""Whether a version of a model is worse than the one before it, looked at as often as one likes.

That holds for generations that only grow in number; a window that moves on is another each time.
Devices of a class are compared with their like alone: a version that has reached the slow devices
first is not slower for that. Latencies are compared by the means of their logarithms, whose
difference is a ratio; failures by the test that the gates of rollouts use. Each finding has a fixed
part of the chance of a false alarm, so that all of them together have no more than the whole.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Final

from epochly.inference.statistics import Moments, mean_difference
from octomil.quality.sensitivity import COMPARED, Sensitivity
from octomil.quality.sketches import LEAST, MOST, Sketch
from octomil.quality.tallies import Measure, Outcome, Tally
from octomil.rollouts import excess
from octomil.wire.quality import RegressionFinding, Verdict

FAILURES: Final = "failures"

_MOST_LOG = 2 * math.log(MOST / LEAST)  # further apart no two means can be


def compare(
    before: Mapping[str, Tally], after: Mapping[str, Tally], sensitivity: Sensitivity
) -> Sequence[RegressionFinding]:
    """Compare a version with the one before it.

    Args:
        before: what the version before did, by device class.
        after: what the version did.
        sensitivity: what counts as worse.

    Returns:
        Three findings for each class of devices that ran both.
    """
    found: list[RegressionFinding] = []
    for device_class in sorted(before.keys() & after.keys()):
        old, new = before[device_class], after[device_class]
        found += [_latency(device_class, each, old, new, sensitivity) for each in COMPARED]
        found.append(_failures(device_class, old, new, sensitivity))
    return found


def _latency(
    device_class: str, measure: Measure, old: Tally, new: Tally, sensitivity: Sensitivity
) -> RegressionFinding:
    before, after = _log_moments(old.sketch(measure)), _log_moments(new.sketch(measure))
    counts = int(before.count), int(after.count)
    found = mean_difference(
        before, after, alpha=sensitivity.of_one, tuned_for=sensitivity.tuned_for
    )
    is_known = min(counts) > 0
    is_worse = float(found.low) > math.log1p(sensitivity.tolerated_slowdown)
    return RegressionFinding(
        device_class=device_class,
        measure=measure,
        verdict=_verdict(counts, sensitivity, is_worse=is_worse),
        before=math.exp(before.mean) if counts[0] else None,
        after=math.exp(after.mean) if counts[1] else None,
        ratio=math.exp(found.estimate) if is_known else None,
        ratio_low=_exp_or_none(float(found.low)) if is_known else None,
        ratio_high=_exp_or_none(float(found.high)) if is_known else None,
        generations_before=counts[0],
        generations_after=counts[1],
    )


def _failures(
    device_class: str, old: Tally, new: Tally, sensitivity: Sensitivity
) -> RegressionFinding:
    before, after = _ended(old), _ended(new)
    counts = before.trials, after.trials
    is_worse = excess.is_above(after, before, sensitivity.failures, sensitivity.of_one)
    shares = [each.failures / each.trials if each.trials else None for each in (before, after)]
    ratio = shares[1] / shares[0] if shares[0] and shares[1] is not None else None
    return RegressionFinding(
        device_class=device_class,
        measure=FAILURES,
        verdict=_verdict(counts, sensitivity, is_worse=is_worse),
        before=shares[0],
        after=shares[1],
        ratio=ratio,
        generations_before=counts[0],
        generations_after=counts[1],
    )


def _verdict(counts: tuple[int, int], sensitivity: Sensitivity, *, is_worse: bool) -> Verdict:
    if min(counts) < sensitivity.minimum_sample:
        return Verdict.TOO_FEW
    return Verdict.REGRESSED if is_worse else Verdict.NOT_FOUND


def _log_moments(sketch: Sketch) -> Moments:
    return Moments.of_sums(sketch.count, sketch.log_sum, sketch.log_square_sum)


def _ended(tally: Tally) -> excess.Tally:
    """Count those that ended by themselves: who stops reading says nothing of the model."""
    failed = tally.number(Outcome.FAILED)
    return excess.Tally(failed, failed + tally.number(Outcome.COMPLETED))


def _exp_or_none(log: float) -> float | None:
    """Return the ratio that a difference of logarithms is; None where it says nothing."""
    return math.exp(log) if abs(log) < _MOST_LOG else None
