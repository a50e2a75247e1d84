"""Whether one failure rate is too far above another, or is not; at every look at once.

Each test is an e-value: while the contrary holds, it ever reaches 1/alpha with a probability of at
most alpha, however often one looks (Ville's inequality).
"""

import math
from dataclasses import dataclass
from functools import lru_cache

from epochly.inference.statistics import rate_sequence
from epochly.inference.statistics.beta import log_beta
from octomil.rollouts.limits import Excess

_BASELINE_SHARE = 0.1
"""Of a chance of being wrong, what goes into bounding the old rate: it is known far better."""

_PRIOR = 0.5  # Jeffreys'
_BISECTIONS = 60
_REMEMBERED = 1_024  # answers: between two reports the same is asked again and again


@dataclass(frozen=True, slots=True)
class Tally:
    """So many failures in so many trials."""

    failures: int
    trials: int


@lru_cache(_REMEMBERED)
def is_above(new: Tally, old: Tally | float, excess: Excess, alpha: float) -> bool:
    """Tell whether the new rate exceeds the old one by more than is tolerated.

    Wald's sequential probability ratio test (1945) of the tolerated rate against the unacceptable
    one. The ratio only falls as both rise together, so that an upper bound that holds at every
    look may stand for the old rate, and the two chances of being wrong add.

    Args:
        new: of the new version.
        old: of the old one, or its rate if that is known.
        excess: what is tolerated and what is not.
        alpha: probability of saying so, ever, of a rate that is not.
    """
    if isinstance(old, Tally):
        bound = rate_sequence(old.failures, old.trials, alpha=_BASELINE_SHARE * alpha)
        old, alpha = float(bound.high), (1 - _BASELINE_SHARE) * alpha
    claimed, refuted = old + excess.unacceptable, old + excess.tolerated
    return log_ratio(new, claimed=claimed, refuted=refuted) >= -math.log(alpha)


@lru_cache(_REMEMBERED)
def is_below(new: Tally, old: Tally | float, excess: Excess, alpha: float) -> bool:
    """Tell whether the new rate exceeds the old one by less than is unacceptable.

    Wald's test the other way round, with a lower bound for the old rate. Where few devices are left
    on the old version that bound is wide, and :func:`log_evidence_below` finds more; each of the
    two has half of the chance of being wrong. Arguments as in :func:`is_above`.
    """
    if isinstance(old, Tally):
        alpha /= 2
        if log_evidence_below(new, old, excess.unacceptable) >= -math.log(alpha):
            return True
        bound = rate_sequence(old.failures, old.trials, alpha=_BASELINE_SHARE * alpha)
        old, alpha = float(bound.low), (1 - _BASELINE_SHARE) * alpha
    claimed, refuted = old + excess.tolerated, old + excess.unacceptable
    return log_ratio(new, claimed=claimed, refuted=refuted) >= -math.log(alpha)


def log_evidence_below(new: Tally, old: Tally, excess: float) -> float:
    """Return the log e-value against "the new rate exceeds the old one by `excess` or more".

    The likelihood of both rates being the same, mixed over what it may be by Jeffreys' prior, over
    the greatest that such an excess could have (Wasserman, Ramdas and Balakrishnan, "Universal
    inference", 2020, section 8).
    """
    if not new.trials or not old.trials:
        return 0.0
    if new.failures / new.trials - old.failures / old.trials >= excess:
        return 0.0  # not a bit speaks against it
    k, n = new.failures + old.failures, new.trials + old.trials
    same = float(log_beta(k + _PRIOR, n - k + _PRIOR) - log_beta(_PRIOR, _PRIOR))
    rate = _best_old_rate(new, old, excess)
    return same - _log_likelihood(old, rate) - _log_likelihood(new, rate + excess)


def log_ratio(tally: Tally, *, claimed: float, refuted: float) -> float:
    """Return the logarithm of the likelihood of one rate over that of another.

    It is minus infinity where one of them is 1 or more: what may always fail cannot be worse.
    """
    if max(claimed, refuted) >= 1:
        return -math.inf
    return _log_likelihood(tally, claimed) - _log_likelihood(tally, refuted)


def _log_likelihood(tally: Tally, rate: float) -> float:
    successes = tally.trials - tally.failures
    found = successes * math.log1p(-rate) if successes else 0.0
    if not tally.failures:
        return found
    return found + tally.failures * math.log(rate) if rate > 0 else -math.inf


def _best_old_rate(new: Tally, old: Tally, excess: float) -> float:
    """Return the old rate under which both tallies are likeliest, if the new one is above by that.

    The log-likelihood is concave: bisection of its slope.
    """
    low, high = 0.0, 1.0 - excess
    for _ in range(_BISECTIONS):
        rate = (low + high) / 2
        slope = _slope(old, rate) + _slope(new, rate + excess)
        low, high = (rate, high) if slope > 0 else (low, rate)
    return low


def _slope(tally: Tally, rate: float) -> float:
    return tally.failures / rate - (tally.trials - tally.failures) / (1 - rate)
