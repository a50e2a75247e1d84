"""What `octomil route calibrate` does: read a log, judge by cross-validation, fit, write."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from octomil.errors import ConfigurationError
from octomil.routing.calibration.design import design_of
from octomil.routing.calibration.fitting import FOLDS
from octomil.routing.calibration.logs import Row, read_log, row_log
from octomil.routing.calibration.metrics import Floats, paired_difference, quality
from octomil.routing.calibration.validation import by_row, by_topic, calibrate, cross_validate

THRESHOLDS = (0.3, 0.7)
"""The scores at which tiers begin never move: calibration moves the scores."""

_MAX_DRIFT = 0.1
"""How far the share of strong calls on rows not seen may be from the one asked for."""


@dataclass(frozen=True)
class Line:
    """One router's quality; see `octomil.routing.calibration.metrics.Quality`."""

    apgr: float
    cpt50: float
    cpt80: float


@dataclass(frozen=True)
class Report:
    """What calibration is worth on rows that it did not see.

    Attributes:
        rows: how many the log has.
        skipped: lines of the log that made no sense and were left out.
        held_out_by: `topic` or `row`.
        lines: by router: ours, and the word count and chance beside it.
        better_than_words: 95 % interval of our APGR less the word count's.
        strong_share: the share that was asked for.
        strong_share_held_out: the share of held-out rows that scored for the strongest tier.
        thresholds: the scores at which the tiers begin.
    """

    rows: int
    skipped: int
    held_out_by: str
    lines: dict[str, Line]
    better_than_words: tuple[float, float]
    strong_share: float
    strong_share_held_out: float
    thresholds: tuple[float, float] = THRESHOLDS

    @property
    def warnings(self) -> list[str]:
        """What to mind before this is used, each a sentence for people."""
        drift = self.strong_share_held_out - self.strong_share
        if abs(drift) <= _MAX_DRIFT:
            return []
        word = "more" if drift > 0 else "less"
        found = f"went to the strongest model {100 * abs(drift):.0f} points {word} often"
        return [f"rows not seen {found} than asked for: it needs more rows, or more topics, to fit"]


def calibrate_file(
    source: Path,
    target: Path,
    *,
    strong_share: float,
    balanced_share: float,
    strict: bool = False,
) -> Report:
    """Fit a log, write the coefficients to `target` and return what they are worth.

    Raises:
        ConfigurationError: the log cannot be used, or `target` not written.
    """
    log = row_log(source, strict=strict)
    rows = read_log(log)
    design = design_of(rows)
    is_topical = design.topic_count >= FOLDS
    found = calibrate(design, strong_share=strong_share, balanced_share=balanced_share)
    folds = by_topic(design) if is_topical else by_row(design)
    held_out = cross_validate(
        design, folds, strong_share=strong_share, balanced_share=balanced_share
    )
    try:
        target.write_bytes(found.to_bytes())
    except OSError as error:
        raise ConfigurationError(f"cannot write {target}: {error.strerror or error}") from error
    words = words_of(rows)
    chance = np.random.default_rng(0).random(len(words))
    routers = {"calibrated": held_out.scores, "word count": words, "chance": chance}
    return Report(
        rows=len(words),
        skipped=log.skipped,
        held_out_by="topic" if is_topical else "row",
        lines={name: line_of(scores, design.gain) for name, scores in routers.items()},
        better_than_words=paired_difference(held_out.scores, words, design.gain),
        strong_share=strong_share,
        strong_share_held_out=held_out.strong_share,
    )


def line_of(scores: Floats, gain: Floats) -> Line:
    """Measure one router."""
    found = quality(scores, gain)
    return Line(found.apgr, found.cpt50, found.cpt80)


def words_of(rows: Sequence[Row]) -> Floats:
    """Return the word counts: the baseline that needs no training."""
    return np.array([float(len(row.prompt.split())) for row in rows])
