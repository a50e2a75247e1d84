"""Fitting: it finds what is there, ships what it fitted, and meets the share it was asked for."""

import random

import numpy as np
import pytest

from octomil.routing.calibration.design import design_of
from octomil.routing.calibration.fitting import each_topic, folds_of, ridge
from octomil.routing.calibration.logs import Row
from octomil.routing.calibration.metrics import apgr
from octomil.routing.calibration.validation import by_row, calibrate, cross_validate, scores_of
from octomil.routing.complexity import ComplexityScorer
from octomil.routing.features import STYLE

THINGS = ("river", "engine", "garden", "lawyer", "planet", "market", "window", "doctor", "bridge")


def rows(count=600, *, topics=0, seed=0):
    """Prompts whose gain depends on one word only: `merely` needs no strong model."""
    chance = random.Random(seed)
    made = []
    for number in range(count):
        easy = chance.random() < 0.5
        words = [chance.choice(THINGS) for _ in range(chance.randint(12, 30))]
        words.insert(3, "merely" if easy else "mostly")
        strong = 1.0 if easy or chance.random() < 0.9 else 0.0
        weak = 1.0 if easy else float(chance.random() < 0.2)
        topic = f"topic {number % topics}" if topics else None
        made.append(Row(f"Consider the {' '.join(words)} number {number}", weak, strong, topic))
    return made


DESIGN = design_of(rows())
ALL = np.ones(len(DESIGN.gain), dtype=bool)


def test_a_word_that_decides_is_found():
    held_out = cross_validate(DESIGN, by_row(DESIGN), strong_share=0.3, balanced_share=0.0)

    assert apgr(held_out.scores, DESIGN.gain) > 0.7


@pytest.mark.parametrize(("strong", "balanced"), [(0.3, 0.0), (0.1, 0.0), (0.3, 0.4), (0.6, 0.2)])
def test_the_requested_share_is_met_on_rows_held_out(strong, balanced):
    fitted = calibrate(design_of(rows(2000)), strong_share=strong, balanced_share=balanced)
    scores = scores_of(fitted, design_of(rows(2000, seed=1)).prompts)

    assert (scores >= 0.7).mean() == pytest.approx(strong, abs=0.03)
    assert (scores >= 0.3).mean() == pytest.approx(strong + balanced, abs=0.035)


def test_the_same_log_gives_the_same_bytes():
    assert calibrate(DESIGN).to_bytes() == calibrate(design_of(rows())).to_bytes()


def test_what_is_shipped_predicts_what_was_fitted():
    fitted = calibrate(DESIGN)
    scorer = ComplexityScorer(fitted)
    weights = ridge(DESIGN, ALL, (10_000.0, 10.0))
    predicted = weights.predict(DESIGN)
    shipped = [sum(scorer.parts(prompt)) for prompt in DESIGN.prompts]

    assert np.corrcoef(predicted, shipped)[0, 1] > 0.98


def test_conjugate_gradients_solve_the_ridge():
    penalties = (300.0, 30.0)
    weights = ridge(DESIGN, ALL, penalties)
    centred = DESIGN.style - DESIGN.style.mean(axis=0)
    spread = DESIGN.style.std(axis=0) + 1e-9
    style = centred / spread * DESIGN.trust[:, None]
    residual = DESIGN.gain - weights.predict(DESIGN)
    residual -= residual.mean()
    prior = np.isin(STYLE, ["words", "option_length"]) * 0.02 - np.isin(STYLE, ["notation"]) * 0.02

    # Where the gradient is nought, the penalty balances what is left.
    slope = style.T @ residual - penalties[0] * (weights.style * spread - prior)
    # The first weight is held at nought or above; a constant feature has none.
    free = (np.arange(len(STYLE)) > 0) & (spread > 1e-6)
    assert np.abs(slope[free]).max() < 0.05


def test_longer_prompts_never_come_to_count_as_simpler():
    worse = [Row("word " * (1 + 399 * (n % 2)), 0.5, 0.5 + 0.5 * (n % 2 == 0)) for n in range(200)]
    design = design_of(worse)

    assert ridge(design, np.ones(200, dtype=bool), (1.0, 10.0)).style[0] == 0.0


def test_folds_hold_whole_topics_where_there_are_some():
    design = design_of(rows(120, topics=6))
    folds = folds_of(design, np.ones(120, dtype=bool), 0)

    assert all(len(set(folds[topic])) == 1 for topic in each_topic(design))
    assert set(folds) == {0, 1, 2, 3, 4}


def test_large_topics_count_no_more_than_their_due():
    many = [Row(f"big {n}", 0, 1, "big") for n in range(1000)] + [Row("small", 0, 1, "small")]
    design = design_of(many)
    weights = design.weights(np.ones(len(many), dtype=bool))

    assert weights[:1000].sum() == pytest.approx(500)
    assert weights[-1] == 1.0
