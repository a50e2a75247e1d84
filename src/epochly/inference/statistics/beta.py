"""The beta function and the incomplete beta function with its inverse, element by element.

Numpy has none of them. Accuracy is that of double precision also for parameters in the millions,
where differences of log-gammas would lose half of their digits.
"""

import math

import numpy as np
import numpy.typing as npt

from epochly.inference.statistics.intervals import BoolArray, FloatArray

_SHIFT = 10
"""Stirling's series is used from here; smaller parameters are raised by the recurrence."""

_STIRLING = (
    1 / 12,
    -1 / 360,
    1 / 1260,
    -1 / 1680,
    1 / 1188,
    -691 / 360360,
    1 / 156,
    -3617 / 122400,
)

_HALF_LOG_2PI = 0.5 * math.log(2 * math.pi)
_TINY = 1e-300
_NEWTON_STEPS = 60
_LAST_STEP = 1e-9  # convergence is quadratic: what is left after it is below rounding
_LARGEST_LOGIT = 700.0  # x is above 1e-304 there
_EPSILON = float(np.finfo(np.float64).eps)


def log_beta(a: npt.ArrayLike, b: npt.ArrayLike) -> FloatArray:
    """Natural logarithm of the beta function for positive `a` and `b`.

    The parameters are raised above `_SHIFT` by B(a, b) = B(a+1, b) (a+b)/a; there the terms of
    Stirling's formula that nearly cancel are combined (Didonato and Morris, TOMS 708, 1992).
    """
    a, b = np.broadcast_arrays(np.asarray(a, np.float64), np.asarray(b, np.float64))
    small, large = np.minimum(a, b), np.maximum(a, b)
    small, raised_small = _raise(small, large)
    large, raised_large = _raise(large, small)
    small, large = np.minimum(small, large), np.maximum(small, large)
    series = _stirling_rest(small) + _stirling_rest(large) - _stirling_rest(small + large)
    ratio = small / large
    stirling = (
        _HALF_LOG_2PI
        - 0.5 * np.log(large)
        - (small - 0.5) * np.log1p(1 / ratio)
        - large * np.log1p(ratio)
    )
    return np.asarray(stirling + series + raised_small + raised_large)


def _raise(a: FloatArray, b: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Raise the small ones of `a`; returns them and what that takes from log B(a, b)."""
    low = a < _SHIFT
    steps = np.arange(_SHIFT).reshape((-1,) + (1,) * a.ndim)
    factors = np.where(low, b / (a + steps), 0.0)
    return np.where(low, a + _SHIFT, a), np.log1p(factors).sum(axis=0)


def _stirling_rest(x: FloatArray) -> FloatArray:
    """What Stirling's formula leaves of log-gamma, for `x` of at least `_SHIFT`."""
    inverse = 1 / x
    total = np.zeros_like(x)
    for coefficient in reversed(_STIRLING):
        total = total * inverse**2 + coefficient
    return total * inverse


def regularised_beta(a: npt.ArrayLike, b: npt.ArrayLike, x: npt.ArrayLike) -> FloatArray:
    """The regularised incomplete beta function I_x(a, b), the distribution function of Beta(a, b).

    Args:
        a: positive, any shape; the others broadcast with it.
        b: positive.
        x: from 0 to 1.

    The continued fraction of Didonato and Morris (DLMF 8.17.22), by Lentz's method, on the side
    of the mean where it converges fast.
    """
    x = np.asarray(x, np.float64)
    return beta_tails(a, b, x, 1 - x)[0]


def beta_tails(
    a: npt.ArrayLike, b: npt.ArrayLike, x: npt.ArrayLike, y: npt.ArrayLike
) -> tuple[FloatArray, FloatArray]:
    """Both tails of Beta(a, b), I_x(a, b) and 1 - I_x(a, b), each without cancellation.

    Args:
        a: positive, any shape; the others broadcast with it.
        b: positive.
        x: from 0 to 1.
        y: 1 - x, given apart because near x = 1 the subtraction would lose its digits.
    """
    log_near, swap = _log_near_tail(a, b, x, y)
    with np.errstate(under="ignore"):
        near = np.minimum(np.exp(log_near), 1.0)
    return np.where(swap, 1 - near, near), np.where(swap, near, 1 - near)


def _log_near_tail(
    a: npt.ArrayLike, b: npt.ArrayLike, x: npt.ArrayLike, y: npt.ArrayLike
) -> tuple[FloatArray, BoolArray]:
    """Logarithm of the tail on x's side of the mean, and whether it is the upper one."""
    a, b, x, y = np.broadcast_arrays(*(np.asarray(v, np.float64) for v in (a, b, x, y)))
    swap = x * (b + 1) > y * (a + 1)  # x is above (a + 1) / (a + b + 2)
    a, b = np.where(swap, b, a), np.where(swap, a, b)
    x, y = np.where(swap, y, x), np.where(swap, x, y)
    with np.errstate(divide="ignore", under="ignore"):
        tail = _log_power_terms(a, b, x, y) - np.log(a) + np.log(_continued_fraction(a, b, x))
    return np.where(x > 0, tail, -np.inf), swap


def _log_power_terms(a: FloatArray, b: FloatArray, x: FloatArray, y: FloatArray) -> FloatArray:
    """log(x^a y^b / B(a, b)), by the deviation of x from the mean where a and b are large."""
    plain = a * _log(x, y) + b * _log(y, x) - log_beta(a, b)
    total = a + b
    beyond = (a * y - b * x) / total  # the mean less x
    u, v = _log1p_rest(-beyond * total / a), _log1p_rest(beyond * total / b)
    large = np.minimum(a, b) >= _SHIFT
    safe_a, safe_b = np.where(large, a, _SHIFT), np.where(large, b, _SHIFT)
    safe_total = safe_a + safe_b
    centred = (
        a * u
        + b * v
        + 0.5 * np.log(safe_a * (safe_b / safe_total))
        - _HALF_LOG_2PI
        - (_stirling_rest(safe_a) + _stirling_rest(safe_b) - _stirling_rest(safe_total))
    )
    return np.where(large, centred, plain)


def _log(x: FloatArray, rest: FloatArray) -> FloatArray:
    """log(x), where near 1 it is better known what is missing."""
    near = rest < 0.5
    return np.where(near, np.log1p(-np.where(near, rest, 0.0)), np.log(np.maximum(x, _TINY)))


def _log1p_rest(d: FloatArray) -> FloatArray:
    """log(1 + d) - d, by its series where the subtraction would cancel."""
    d = np.maximum(d, -1 + _EPSILON)
    near = np.where(np.abs(d) < 0.1, d, 0.0)
    r = near / (2 + near)
    square = r * r
    # log(1 + d) = 2 (r + r^3/3 + r^5/5 + ...), and d = 2 r / (1 - r)
    series = np.zeros_like(d)
    for power in range(17, 1, -2):
        series = series * square + 1 / power
    series = 2 * r * square * series - near * r
    return np.where(np.abs(d) < 0.1, series, np.log1p(d) - d)


def _continued_fraction(a: FloatArray, b: FloatArray, x: FloatArray) -> FloatArray:
    most_steps = int(200 + 10 * math.sqrt(float(np.max(np.maximum(a, b), initial=1.0))))
    c = np.ones_like(x)
    d = 1 / _away_from_zero(1 - (a + b) * x / (a + 1))
    value = d.copy()
    for m in range(1, most_steps):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        d = 1 / _away_from_zero(1 + even * d)
        c = _away_from_zero(1 + even / c)
        value = value * d * c
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        d = 1 / _away_from_zero(1 + odd * d)
        c = _away_from_zero(1 + odd / c)
        change = d * c
        value = value * change
        if np.all(np.abs(change - 1) <= 2 * _EPSILON):
            break
    return value


def _away_from_zero(value: FloatArray) -> FloatArray:
    return np.where(np.abs(value) < _TINY, _TINY, value)


def inverse_regularised_beta(
    a: npt.ArrayLike, b: npt.ArrayLike, probability: npt.ArrayLike
) -> FloatArray:
    """The x with I_x(a, b) = `probability`: the quantile function of Beta(a, b).

    Newton's method on the logarithm of the smaller tail as a function of log(x / (1 - x)). That
    function is concave, so from anywhere the second step lies below the root, and all further ones
    rise to it.

    Args:
        a: positive, any shape; the others broadcast with it.
        b: positive.
        probability: from 0 to 1.
    """
    a, b, p = np.broadcast_arrays(*(np.asarray(v, np.float64) for v in (a, b, probability)))
    swap = p > 0.5
    a, b = np.where(swap, b, a), np.where(swap, a, b)
    inside = (p > 0) & (p < 1)
    log_p = np.log(np.where(inside, np.where(swap, 1 - p, p), 0.5))
    logit = np.log(a / b)
    for _ in range(_NEWTON_STEPS):
        x, y = _from_logit(logit)
        log_tail, is_upper = _log_near_tail(a, b, x, y)
        with np.errstate(under="ignore", over="ignore", divide="ignore"):
            log_lower = np.where(is_upper, np.log1p(-np.minimum(np.exp(log_tail), 1.0)), log_tail)
            step = (log_p - log_lower) / np.exp(_log_power_terms(a, b, x, y) - log_lower)
        before, logit = logit, np.clip(logit + step, -_LARGEST_LOGIT, _LARGEST_LOGIT)
        if np.all(np.abs(logit - before) <= _LAST_STEP):
            break
    x, y = _from_logit(logit)
    return np.where(inside, np.where(swap, y, x), np.where(p > 0, 1.0, 0.0))


def _from_logit(logit: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Both x and 1 - x to full precision."""
    with np.errstate(over="ignore"):
        return 1 / (1 + np.exp(-logit)), 1 / (1 + np.exp(logit))
