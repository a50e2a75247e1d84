"""Cross-validation with everything inside: choice of penalties, quantisation, scale and tiers.

Held-out prompts are scored by the scorer that runs in production, from a file's bytes.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from octomil.errors import ConfigurationError
from octomil.routing.calibration.design import Design
from octomil.routing.calibration.fitting import FOLDS, fit, folds_of
from octomil.routing.calibration.mapping import coefficients_of
from octomil.routing.calibration.metrics import Flags, Floats
from octomil.routing.coefficients import Coefficients, parse
from octomil.routing.complexity import ComplexityScorer
from octomil.routing.features import Prompt, signals


@dataclass(frozen=True)
class HeldOut:
    """Scores of rows by models that have not seen them.

    Attributes:
        scores: shape (n,), 0 to 1.
        strong_share: the share of them that reached the strongest tier.
    """

    scores: Floats
    strong_share: float


def calibrate(
    design: Design,
    used: Flags | None = None,
    *,
    strong_share: float = 0.3,
    balanced_share: float = 0.4,
) -> Coefficients:
    """Fit, scale and quantise; what a file of the result would hold.

    Raises:
        ConfigurationError: the strong model is no better than the weak one on the rows used.
    """
    rows = np.ones(len(design.gain), dtype=bool) if used is None else used
    if design.gain[rows].sum() <= 0:
        raise ConfigurationError(
            "the strong model is no better than the weak one once a fifth of the log is held out: "
            "it needs more rows, or more topics"
        )
    found = coefficients_of(
        design,
        rows,
        fit(design, rows),
        strong_share=strong_share,
        balanced_share=balanced_share,
    )
    return parse(found.to_bytes())


def by_topic(design: Design, *, seed: int = 0) -> Iterable[Flags]:
    """Hold out a fifth of the topics after the other."""
    folds = folds_of(design, np.ones(len(design.gain), dtype=bool), seed)
    return (folds == fold for fold in range(FOLDS))


def by_row(design: Design, *, seed: int = 0) -> Iterable[Flags]:
    """Hold out a random fifth of the rows after the other."""
    folds = np.random.default_rng(seed).permutation(len(design.gain)) % FOLDS
    return (folds == fold for fold in range(FOLDS))


def cross_validate(
    design: Design,
    folds: Iterable[Flags],
    *,
    strong_share: float = 0.3,
    balanced_share: float = 0.4,
) -> HeldOut:
    """Score every row by a model calibrated without its fold."""
    scores = np.zeros(len(design.gain))
    for out in folds:
        found = calibrate(design, ~out, strong_share=strong_share, balanced_share=balanced_share)
        scores[out] = scores_of(found, design.prompts_of(out))
    return HeldOut(scores, float((scores >= 0.7).mean()))


def scores_of(coefficients: Coefficients, prompts: Sequence[Prompt]) -> Floats:
    """Return the scores of lone questions."""
    scorer = ComplexityScorer(coefficients)
    return np.array([
        scorer.combine(scorer.learned(prompt), prompt, signals(prompt, 1, ""))
        for prompt in prompts
    ])  # fmt: skip
