"""What is flagged, on which devices, and what is not said."""

import math

import pytest

from octomil.quality.regressions import compare
from octomil.quality.sensitivity import Sensitivity
from octomil.quality.sketches import Sketch
from octomil.quality.tallies import Measure, Outcome, Tally, tally_of, together
from octomil.wire.quality import Verdict

SENSITIVITY = Sensitivity(classes=2)


def ran(number: int, ms: float = 100.0, failed: int = 0, cancelled: int = 0) -> Tally:
    """Generations that took so long, one a tenth more and one a tenth less in turn."""
    latencies = [ms * 1.1**each for each in (-1, 1)] * (number // 2)
    sketches = {
        measure: Sketch.of(latencies) for measure in (Measure.TTFC_MS, Measure.AVG_CHUNK_LATENCY_MS)
    }
    outcomes = {Outcome.COMPLETED: number, Outcome.FAILED: failed, Outcome.CANCELLED: cancelled}
    return Tally(outcomes=outcomes, sketches=sketches)


def verdicts(before: Tally, after: Tally) -> dict[str, Verdict]:
    found = compare({"high": before}, {"high": after}, SENSITIVITY)
    return {finding.measure: finding.verdict for finding in found}


def test_what_is_slower_is_flagged_with_its_ratio():
    found = compare({"high": ran(400)}, {"high": ran(400, ms=110)}, SENSITIVITY)

    slower = next(each for each in found if each.measure == "ttfc_ms")
    assert slower.verdict is Verdict.REGRESSED
    assert (slower.before, slower.after) == (pytest.approx(100), pytest.approx(110))
    assert slower.ratio == pytest.approx(1.1)
    assert 1.02 < slower.ratio_low < 1.1 < slower.ratio_high
    assert (slower.generations_before, slower.generations_after) == (400, 400)


def test_what_is_faster_or_slower_by_what_is_tolerated_is_not():
    for ms in (50, 100, 101.9):
        assert set(verdicts(ran(10_000), ran(10_000, ms=ms)).values()) == {Verdict.NOT_FOUND}


def test_of_few_generations_nothing_is_said():
    assert set(verdicts(ran(400), ran(98, ms=500)).values()) == {Verdict.TOO_FEW}


def test_failures_are_flagged_and_cancellations_are_none():
    assert verdicts(ran(400), ran(400, failed=80))["failures"] is Verdict.REGRESSED
    assert verdicts(ran(400), ran(400, cancelled=80))["failures"] is Verdict.NOT_FOUND


def test_devices_are_compared_with_their_like():
    """Else a version that came to slow devices alone would be slower."""
    before = {"high": ran(400), "low": ran(400, ms=500)}
    after = {"low": ran(400, ms=500), "server": ran(400, ms=10)}

    found = compare(before, after, SENSITIVITY)

    assert {(each.device_class, each.verdict) for each in found} == {("low", Verdict.NOT_FOUND)}


def test_where_nothing_was_measured_there_is_no_figure():
    finding = compare({"high": Tally()}, {"high": ran(400)}, SENSITIVITY)[0]

    assert (finding.verdict, finding.before, finding.ratio) == (Verdict.TOO_FEW, None, None)


def test_tallies_add_up_by_outcome_and_measure():
    first = tally_of(Outcome.COMPLETED, {Measure.TTFC_MS: 10.0})
    second = tally_of(Outcome.COMPLETED, {Measure.TTFC_MS: 20.0, Measure.THROUGHPUT: 5.0})

    both = together([first, second, tally_of(Outcome.FAILED, {})])

    assert (both.number(Outcome.COMPLETED), both.number(Outcome.FAILED)) == (2, 1)
    assert both.number(Outcome.STARTED) == 0
    assert both.sketch(Measure.TTFC_MS).count == 2
    assert both.sketch(Measure.THROUGHPUT).count == 1
    assert both.sketch(Measure.TTFC_MS).log_sum == pytest.approx(math.log(200))
    assert both.sketch(Measure.TOTAL_DURATION_MS) == Sketch()
