"""How often a version is flagged that is no worse, and how soon one is that is: seeded.

Each run draws generations of two versions on two classes of devices, sums them up as the control
plane does, and looks after every 100 of the newer version. Latencies are lognormal, with a sigma
of 0.5 to the first chunk and of 0.2 between chunks; one generation in a hundred fails. A run is
flagged if any look flags anything. `tests/unit/octomil/quality/test_campaign.py` runs a sample.
"""

from dataclasses import dataclass

import numpy as np

from bench.report import Budget, Row, median
from octomil.quality.regressions import compare
from octomil.quality.sensitivity import Sensitivity
from octomil.quality.sketches import Sketch
from octomil.quality.tallies import Measure, Outcome, Tally, together
from octomil.wire.quality import Verdict

COVERS = ("octomil/quality", "epochly/inference/statistics", "octomil/rollouts/excess.py")

SEED = 20_261_122
BEFORE = 2_000  # generations of the version before, per class
LOOKS, STEP = 40, 100
CLASSES = {"flagship": 120.0, "low": 600.0}  # ms to the first chunk
SENSITIVITY = Sensitivity(classes=6)


@dataclass(frozen=True, kw_only=True)
class Version:
    """How a version behaves.

    Attributes:
        slowdown: relative: 0.1 for 10 % slower.
        failures: share of generations that fail.
    """

    slowdown: float = 0.0
    failures: float = 0.01


def run(quick: bool) -> list[Row]:
    """Simulate; a quick run proves that it works and measures little."""
    runs = 20 if quick else 1_000
    alike = flagged_after(SEED, runs, Version())
    slower = flagged_after(SEED + 1, runs // 4, Version(slowdown=0.1))
    failing = flagged_after(SEED + 2, runs // 4, Version(failures=0.08))
    return [
        Row(
            metric="runs flagged, version before it and version alike",
            unit="%",
            ours=_percent(alike),
            budget=Budget("ours", "at most", 5),
            note=f"{runs} runs of {LOOKS} looks at up to {LOOKS * STEP} generations per class",
        ),
        _found_row("10 % slower", slower),
        _found_row("8 % fail rather than 1 %", failing),
    ]


def flagged_after(seed: int, runs: int, version: Version) -> list[int | None]:
    """Return, for each run, after how many generations per class it was flagged; None if never."""
    return [_flagged_after(np.random.default_rng([seed, each]), version) for each in range(runs)]


def _flagged_after(rng: np.random.Generator, version: Version) -> int | None:
    before = {each: _drawn(rng, each, BEFORE, Version()) for each in CLASSES}
    after = dict.fromkeys(CLASSES, Tally())
    for look in range(1, LOOKS + 1):
        after = {
            each: together([tally, _drawn(rng, each, STEP, version)])
            for each, tally in after.items()
        }
        findings = compare(before, after, SENSITIVITY)
        if any(finding.verdict is Verdict.REGRESSED for finding in findings):
            return look * STEP
    return None


def _drawn(rng: np.random.Generator, device_class: str, number: int, version: Version) -> Tally:
    failed = int(rng.binomial(number, version.failures))
    slower, first_ms = 1 + version.slowdown, CLASSES[device_class]
    first = first_ms * slower * rng.lognormal(0.0, 0.5, number - failed)
    between = first_ms / 4 * slower * rng.lognormal(0.0, 0.2, number - failed)
    return Tally(
        outcomes={Outcome.COMPLETED: number - failed, Outcome.FAILED: failed},
        sketches={
            Measure.TTFC_MS: Sketch.of(first.tolist()),
            Measure.AVG_CHUNK_LATENCY_MS: Sketch.of(between.tolist()),
        },
    )


def _percent(flagged: list[int | None]) -> float:
    return 100 * sum(each is not None for each in flagged) / len(flagged)


def _found_row(what: str, flagged: list[int | None]) -> Row:
    after = median([float(each) for each in flagged if each is not None])
    return Row(
        metric=f"runs flagged, {what}",
        unit="%",
        ours=_percent(flagged),
        higher_is_better=True,
        budget=Budget("ours", "at least", 95),
        note=f"{len(flagged)} runs; the median is flagged after {after:g} generations per class"
        if after
        else "none was flagged",
    )
