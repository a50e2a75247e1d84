"""Ridge regression of the gain on style and n-grams, and the choice of its two penalties.

Within a topic, gain and features are taken from their means, so that what is learned is why one
question gains more than another of its kind, not which topic gains: a topic's gain says nothing
about the next topic. The style weights are drawn towards a prior and the n-gram weights towards
nought, by the penalties that predict best for topics, or rows, that were held out.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import product
from typing import TypeAlias

import numpy as np

from octomil.routing.calibration.design import BUCKETS, Design
from octomil.routing.calibration.metrics import Flags, Floats, Ints, apgr
from octomil.routing.features import STYLE

STYLE_PENALTIES = (1_000.0, 10_000.0)
GRAM_PENALTIES = (10.0, 100.0, 300.0)
FOLDS = 5
_PRIOR = {"words": 0.02, "option_length": 0.02, "notation": -0.02}
"""Gain per standard deviation. Long texts and long answers need reading, which is what separates
models; notation asks for calculation, at which strong models fail as well."""
Linear: TypeAlias = Callable[[Floats], Floats]
_ITERATIONS = 30
_CONSTANT = 1e-6  # the spread of a feature that the log says nothing about
_TOLERANCE = 1e-4


@dataclass(frozen=True)
class Weights:
    """A fitted regression.

    Attributes:
        style: shape (len(STYLE),), gain per unit of a feature.
        centres: shape (len(STYLE),), the mean of each feature.
        grams: shape (BUCKETS,), gain per unit.
    """

    style: Floats
    centres: Floats
    grams: Floats

    def predict(self, design: Design) -> Floats:
        """Return the expected gain of every row, less the mean's."""
        style = (design.style - self.centres) @ self.style
        return style * design.trust + design.grams_times(self.grams)


@dataclass(frozen=True)
class Fit:
    """The regression on all used rows, and what it predicts for each when held out.

    Attributes:
        weights: fitted to every used row.
        held_out: shape (n,), the prediction for each used row by a regression without its fold, in
            standard deviations; folds are of whole topics where the used rows have several.
        held_out_alone: the same with folds of rows, so that the rest of its topic was seen.
        penalties: the chosen ones, for style and for n-grams.
    """

    weights: Weights
    held_out: Floats
    held_out_alone: Floats
    penalties: tuple[float, float]


def fit(design: Design, used: Flags, *, seed: int = 0) -> Fit:
    """Fit the rows that are `used`, with the penalties that do best by inner cross-validation.

    Folds are of whole topics where the used rows have several, else of rows.
    """
    folds = folds_of(design, used, seed)
    best: tuple[float, Floats, tuple[float, float]] | None = None
    for penalties in product(STYLE_PENALTIES, GRAM_PENALTIES):
        held_out = _held_out(design, used, folds, penalties)
        found = apgr(held_out[used], design.gain[used])
        if best is None or found > best[0]:
            best = found, held_out, penalties
    assert best is not None
    _, held_out, penalties = best
    alone = held_out
    if _has_topics(design, used):
        alone = _held_out(design, used, _folds_of_rows(design, seed), penalties)
    return Fit(ridge(design, used, penalties), held_out, alone, penalties)


def _held_out(design: Design, used: Flags, folds: Ints, penalties: tuple[float, float]) -> Floats:
    predicted = np.zeros(len(design.gain))
    for fold in range(FOLDS):
        out = used & (folds == fold)
        predicted[out] = comparable(ridge(design, used & ~out, penalties), design, used, out)
    return predicted


@dataclass(frozen=True)
class Scale:
    """How predictions become standard deviations of gain, which is what the scorer counts in.

    Attributes:
        offset: the mean, taken away in proportion to a row's trust.
        spread: the standard deviation of what is left.
    """

    offset: float
    spread: float

    @classmethod
    def of(cls, predicted: Floats, design: Design, known: Flags) -> "Scale":
        """Find the scale on which the predictions for the `known` rows are standard."""
        offset = float(predicted[known].sum() / max(design.trust[known].sum(), 1e-9))
        left = predicted - offset * design.trust
        return cls(offset, float(max(left[known].std(), 1e-6)))

    def apply(self, predicted: Floats, design: Design) -> Floats:
        """Return the predictions in standard deviations."""
        scaled: Floats = (predicted - self.offset * design.trust) / self.spread
        return scaled


def comparable(weights: Weights, design: Design, used: Flags, out: Flags) -> Floats:
    """Return predictions for `out` on the scale of the rest, so that folds can be pooled."""
    predicted = weights.predict(design)
    return Scale.of(predicted, design, used & ~out).apply(predicted, design)[out]


def folds_of(design: Design, used: Flags, seed: int) -> Ints:
    """Deal rows, or whole topics, into `FOLDS` of about the same size."""
    if not _has_topics(design, used):
        return _folds_of_rows(design, seed)
    order = np.random.default_rng(seed).permutation(np.unique(design.topics[used]))
    fold_of_topic = np.zeros(design.topic_count, dtype=np.int64)
    fold_of_topic[order] = np.arange(len(order)) % FOLDS
    folds: Ints = fold_of_topic[design.topics]
    return folds


def _has_topics(design: Design, used: Flags) -> bool:
    return len(np.unique(design.topics[used])) >= FOLDS


def _folds_of_rows(design: Design, seed: int) -> Ints:
    return np.random.default_rng(seed).permutation(len(design.gain)) % FOLDS


def each_topic(design: Design) -> Iterator[Flags]:
    """Yield the rows of every topic."""
    for topic in range(design.topic_count):
        yield design.topics == topic


def ridge(design: Design, used: Flags, penalties: tuple[float, float]) -> Weights:
    """Fit by conjugate gradients; the n-gram matrix stays sparse.

    Penalties become a change of scale, so that the system to be solved is the identity plus
    something small, and a few steps are enough.
    """
    weights = design.weights(used)
    total = weights.sum()
    centres = weights @ design.style / total
    spread = np.sqrt(weights @ (design.style - centres) ** 2 / total)
    is_constant = spread < _CONSTANT
    spread[is_constant] = 1.0
    style = (design.style - centres) / spread * design.trust[:, None]
    sums = np.maximum(np.bincount(design.topics, weights, design.topic_count), 1e-9)

    def centred(rows: Floats) -> Floats:
        means = np.bincount(design.topics, weights * rows, design.topic_count) / sums
        result: Floats = np.sqrt(weights) * (rows - means[design.topics])
        return result

    def forward(x: Floats) -> Floats:
        scaled = x * scale
        return centred(design.grams_times(scaled[:BUCKETS]) + style @ scaled[BUCKETS:])

    def backward(rows: Floats) -> Floats:
        # The transpose of `centred` is: weigh, then take the topic means away.
        rows = np.sqrt(weights) * rows
        means = np.bincount(design.topics, rows, design.topic_count) / sums
        rows = rows - weights * means[design.topics]
        both = np.concatenate([design.grams_transposed_times(rows), rows @ style])
        result: Floats = scale * both
        return result

    scale = np.repeat(np.array(penalties)[::-1] ** -0.5, [BUCKETS, len(STYLE)])
    prior = np.array([_PRIOR.get(name, 0.0) for name in STYLE]) * ~is_constant
    solved = scale * _solve(forward, backward, centred(design.gain - style @ prior))
    found = (prior + solved[BUCKETS:]) / spread
    found[0] = max(found[0], 0.0)  # a longer prompt never counts as simpler
    return Weights(found, centres, solved[:BUCKETS])


def _solve(forward: Linear, backward: Linear, target: Floats) -> Floats:
    """Minimise |forward(x) - target|^2 + |x|^2 by conjugate gradients."""
    residual = backward(target)
    x, direction, norm = np.zeros_like(residual), residual.copy(), float(residual @ residual)
    enough = _TOLERANCE**2 * norm
    for _ in range(_ITERATIONS):
        if norm <= enough:
            break
        step = backward(forward(direction)) + direction
        length = norm / float(direction @ step)
        x += length * direction
        residual -= length * step
        before, norm = norm, float(residual @ residual)
        direction = residual + norm / before * direction
    return x
