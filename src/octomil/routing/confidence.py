"""How likely an answer is right, from the log-probabilities of its first tokens.

A logistic model over two quantities of the first tokens: their mean, and their lowest tenth. Means
and quantiles, because a sum only measures length; the first tokens only, because a stream is held
back no longer than that; never the model's own word for it, which is hardly better than chance.

The coefficients were fitted on answers of small local models to short questions with known answers
(`bench/escalation.py`, which also measures what escalating on them costs and gains).
"""

from collections.abc import Sequence
from math import exp

WINDOW_TOKENS = 16
"""Tokens looked at; a shorter answer is looked at whole."""

SURE = 0.6
"""Probability from which an answer is kept."""

_LOWEST = -20.0  # what is rarer is not less likely right
_BIAS, _MEAN, _LOWEST_TENTH = 3.653, 1.132, 2.076


def features(logprobs: Sequence[float]) -> tuple[float, float]:
    """Return the mean and the lowest tenth of the first `WINDOW_TOKENS` log-probabilities.

    Args:
        logprobs: natural log-probabilities of the answer's tokens, in order; at least one.
    """
    window = sorted(max(value, _LOWEST) for value in logprobs[:WINDOW_TOKENS])
    place = (len(window) - 1) * 0.1
    below = int(place)
    above = min(below + 1, len(window) - 1)
    lowest_tenth = window[below] + (place - below) * (window[above] - window[below])
    return sum(window) / len(window), lowest_tenth


def probability_correct(logprobs: Sequence[float]) -> float:
    """Estimate the probability that an answer is right.

    Args:
        logprobs: natural log-probabilities of the answer's tokens, in order; those after the first
            `WINDOW_TOKENS` are not looked at.

    Returns:
        A probability; 0 for no tokens, which is no answer.

    Example:
        >>> probability_correct([-0.01] * 8) > 0.9 > 0.3 > probability_correct([-1.9, -0.6, -1.2])
        True
    """
    if not logprobs:
        return 0.0
    mean, lowest_tenth = features(logprobs)
    return 1 / (1 + exp(-(_BIAS + _MEAN * mean + _LOWEST_TENTH * lowest_tenth)))
