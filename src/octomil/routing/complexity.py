"""How hard a query looks, from 0.0 (small talk) to 1.0 (only the best model will do).

Two parts. What calibration learned (`coefficients`, a ridge regression on how much better a strong
model answered than a weak one) and what the documents say about code, vocabulary, reasoning and
small talk give a *latent* value, which a rising curve brings between 0 and 1. Beside it each of
the five documented signals has a fixed share of the score, so that none can ever lower it and each
can always be felt. `docs/decisions/0003-complexity-model.md` tells how this was arrived at.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from math import sqrt, tanh
from operator import itemgetter, mul
from pathlib import Path
from typing import Any

from octomil.routing import features
from octomil.routing.coefficients import SHIPPED, Coefficients, load
from octomil.routing.features import Memo, Prompt, Signals, last_question, text_of

__all__ = ["ComplexityScorer", "Explanation", "score", "scorer", "text_of"]

SIGNAL_SHARE = 0.052
"""What each signal adds to the score over its full range, whatever the rest looks like."""

LATENT_SHARE = 1 - 5 * SIGNAL_SHARE
_SURE_WORDS = 32  # fewer distinct words tell less: what was learned counts in proportion
_LEARNED_LIMIT = 2.5  # standard deviations; no wording outweighs a documented signal
AT_ANCHORS = (0.05, 0.95)  # so that whatever the signals add, 0.3 and 0.7 lie between
_BEYOND = 3.0  # latent distance from an anchor within which most of what is left happens
_AT_BEYOND = (0.01, 0.99)
_AT_ENDS = 20.0  # beyond what any prompt reaches

# Monotone priors, in standard deviations of the learned gain: the calibration data has neither
# small talk nor conversations, and asks for little code.
_VOCABULARY, _CODE, _REASONING = 2.0, 3.5, 2.2
_SIMPLE = (0.0, -3.0, -5.0)


@dataclass(frozen=True, slots=True)
class Effect:
    """What one signal does to a score.

    Attributes:
        name: the signal.
        value: how strong it is; 0 to 1 for the documented signals.
        contribution: the score less what it would be with this signal neutral.
    """

    name: str
    value: float
    contribution: float


@dataclass(frozen=True, slots=True)
class Explanation:
    """A score and what it is made of.

    Attributes:
        score: 0.0 to 1.0.
        effects: one per signal; they need not add up, because the curve bends.
        expected_gain: by how much a strong model answered such prompts better, of 1, in the
            calibration data.
    """

    score: float
    effects: tuple[Effect, ...]
    expected_gain: float


class ComplexityScorer:
    """Score conversations with one set of coefficients. Safe to share between threads.

    Args:
        coefficients: what `octomil.routing.coefficients.load` returned.
    """

    def __init__(self, coefficients: Coefficients) -> None:
        self.coefficients = coefficients
        self._curve = curve_knots(*coefficients.anchors)
        split, unit = features.TEXT_FEATURES, 1 / coefficients.spread
        weights = [weight * unit for weight in coefficients.style]
        self._text_weights, word_weights = weights[:split], weights[split:]
        self._text_offset, word_offset = (
            -sum(w * c for w, c in zip(ws, cs, strict=True))
            for ws, cs in (
                (self._text_weights, coefficients.centres[:split]),
                (word_weights, coefficients.centres[split:]),
            )
        )
        self._text_offset -= coefficients.offset * unit
        self._grams = list(memoryview(coefficients.grams).cast("b"))
        self._gram_unit = coefficients.gram_unit * unit
        buckets = len(self._grams)
        self._first = Memo(lambda word: features.code_of(word, buckets))
        self._second = Memo(lambda word: features.second_code_of(word, buckets))
        self._single = Memo(lambda word: self._grams[features.code_of(word, buckets)])
        self._word_style = Memo(
            lambda word: (
                word_offset
                + sum(w * f for w, f in zip(word_weights, features.word_style(word), strict=True))
            )
        )

    def __call__(self, messages: Sequence[Mapping[str, Any]]) -> float:
        """Score a conversation by its last user message and by what surrounds it.

        Args:
            messages: OpenAI-style messages, oldest first.

        Returns:
            A complexity between 0.0 and 1.0.
        """
        query, turns, instructions = last_question(messages)
        prompt = features.read(query)
        return self.combine(
            self.learned(prompt), prompt, features.signals(prompt, turns, instructions)
        )

    def learned(self, prompt: Prompt) -> float:
        """Return the learned part: standard deviations of gain, bounded, 0 for no words."""
        style, grams = self.parts(prompt)
        return bounded(style + grams, trust_in(prompt))

    def parts(self, prompt: Prompt) -> tuple[float, float]:
        """Return what the style and the n-grams say, in standard deviations of gain."""
        distinct = prompt.distinct
        count = len(distinct)
        if not count:
            return 0.0, 0.0
        tokens = prompt.tokens
        grams = sum(map(self._single.__getitem__, distinct))
        if len(tokens) > 1:
            pick = itemgetter(*tokens)  # faster than `map`; of a single key it makes no tuple
            pairs = features.pair_buckets(pick(self._first), pick(self._second))
            grams += sum(map(self._grams.__getitem__, pairs))
        shares = sum(map(self._word_style.__getitem__, distinct)) / count
        text = self._text_offset
        text += sum(map(mul, self._text_weights, features.text_style(prompt)))
        trust = trust_in(prompt)
        norm = self._gram_unit / sqrt(count + len(tokens) - 1)
        return trust * (text + shares), trust * norm * grams

    def combine(self, learned: float, prompt: Prompt, signals: Signals) -> float:
        """Put the learned part, the priors and the signals together."""
        shares = self.signal_shares(signals)
        if not (prompt.prose or signals.code):
            return shares  # nothing is asked
        latent = self.latent(learned, prompt, signals)
        return LATENT_SHARE * interpolate(latent, self._curve) + shares

    @staticmethod
    def signal_shares(signals: Signals) -> float:
        """Return what the signals have of the score by right."""
        return SIGNAL_SHARE * sum(signals)

    def latent(self, learned: float, prompt: Prompt, signals: Signals) -> float:
        """Return the latent value; without any word, the middle of the middle tier."""
        neutral = 0.0 if prompt.distinct else sum(self.coefficients.anchors) / 2
        return (
            neutral
            + learned
            + _SIMPLE[prompt.simple]
            + _VOCABULARY * signals.vocabulary
            + _CODE * signals.code
            + (_REASONING if prompt.reasoning else 0.0)
        )

    def explain(self, messages: Sequence[Mapping[str, Any]]) -> Explanation:
        """Score a conversation and tell what each signal contributes."""
        query, turns, instructions = last_question(messages)
        prompt = features.read(query)
        found = features.signals(prompt, turns, instructions)
        style, grams = self.parts(prompt)
        learned = self.learned(prompt)
        total = self.combine(learned, prompt, found)
        effects = [
            Effect(
                name, value, total - self.combine(learned, prompt, found._replace(**{name: 0.0}))
            )
            for name, value in found._asdict().items()
        ]
        without = {
            "reasoning": (learned, prompt._replace(reasoning=False)),
            "simple": (learned, prompt._replace(simple=0)),
            "style": (learned - style, prompt),
            "wording": (learned - grams, prompt),
        }
        values = (float(prompt.reasoning), float(prompt.simple), style, grams)
        effects += [
            Effect(name, value, total - self.combine(rest, plain, found))
            for (name, (rest, plain)), value in zip(without.items(), values, strict=True)
        ]
        latent = self.latent(learned, prompt, found)
        return Explanation(total, tuple(effects), interpolate(latent, self.coefficients.gain_at))


def trust_in(prompt: Prompt) -> float:
    """Return how much of the learned part counts: a few words say little about style."""
    count = len(prompt.distinct)
    return count / _SURE_WORDS if count < _SURE_WORDS else 1.0


def bounded(learned: float, trust: float) -> float:
    """Keep what was learned within what wording may weigh: in few words, least of all.

    It saturates smoothly, so that prompts keep their order.

    Args:
        learned: standard deviations of gain.
        trust: how much of it counts, 0 to 1; see `trust_in`.
    """
    limit = _LEARNED_LIMIT * trust * trust
    return limit * tanh(learned / limit) if limit else 0.0


def curve_knots(low: float, high: float) -> tuple[tuple[float, float], ...]:
    """Return the curve that brings latent values between 0 and 1, given the tiers' anchors."""
    return (
        (low - _AT_ENDS, 0.0),
        (low - _BEYOND, _AT_BEYOND[0]),
        (low, AT_ANCHORS[0]),
        (high, AT_ANCHORS[1]),
        (high + _BEYOND, _AT_BEYOND[1]),
        (high + _AT_ENDS, 1.0),
    )


def interpolate(x: float, knots: Sequence[tuple[float, float]]) -> float:
    """Return the value at `x` of the line through `knots`, flat beyond its ends.

    Example:
        >>> interpolate(0.5, [(0, 10), (1, 20), (2, 20)])
        15.0
    """
    x0, y0 = knots[0]
    if x <= x0:
        return y0
    for x1, y1 in knots[1:]:
        if x < x1:
            return y0 + (y1 - y0) * (x - x0) / (x1 - x0)
        x0, y0 = x1, y1
    return y0


def scorer(path: Path | None = None) -> ComplexityScorer:
    """Return the scorer of a file of coefficients; without one, of those that ship.

    Raises:
        ConfigurationError: the file cannot be read, or is no sound routing model.
    """
    return _shipped() if path is None else ComplexityScorer(load(path))


@cache
def _shipped() -> ComplexityScorer:
    return ComplexityScorer(load(SHIPPED))


def score(messages: Sequence[Mapping[str, Any]]) -> float:
    """Score a conversation with the coefficients that ship; see `ComplexityScorer`.

    Example:
        >>> score([{"role": "user", "content": "hello"}]) < 0.3
        True
    """
    return scorer()(messages)
