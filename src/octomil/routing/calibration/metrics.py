"""Quality of a router at a given cost: APGR and CPT (Ong et al. 2024, arXiv:2406.18665).

A router orders queries; the first share `x` of them goes to the strong model. The *performance gap
recovered* at `x` is the part of the gap between weak and strong that this closes. It may pass 1:
on some queries the weak model is the better one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.int64]
Flags: TypeAlias = NDArray[np.bool_]

_RESAMPLES = 1_000


@dataclass(frozen=True, slots=True)
class Quality:
    """What an ordering of queries is worth.

    Attributes:
        apgr: area under the recovered gap over the share of strong calls; random is 0.5.
        cpt50: share of strong calls that recovers half the gap; less is better.
        cpt80: the same for four fifths.
    """

    apgr: float
    cpt50: float
    cpt80: float


def recovered(scores: Floats, gain: Floats, seed: int = 0) -> Floats:
    """Return the recovered gap after 0, 1, … n queries went to the strong model.

    Args:
        scores: shape (n,); higher goes first. Ties are broken at random.
        gain: shape (n,); strong minus weak, with a sum above 0.
        seed: of the ties.

    Raises:
        ValueError: the strong model is no better than the weak one.
    """
    total = float(gain.sum())
    if total <= 0:
        raise ValueError("the strong model is no better than the weak one on these rows")
    ties = np.random.default_rng(seed).random(len(scores))
    order = np.lexsort((ties, -scores))
    return np.concatenate([[0.0], np.cumsum(gain[order])]) / total


def apgr(scores: Floats, gain: Floats, seed: int = 0) -> float:
    """Return the area under `recovered`, by trapezoids."""
    curve = recovered(scores, gain, seed)
    return float((curve[1:] + curve[:-1]).mean() / 2)


def quality(scores: Floats, gain: Floats) -> Quality:
    """Measure an ordering of queries."""
    curve = recovered(scores, gain)
    return Quality(apgr(scores, gain), _reach(curve, 0.5), _reach(curve, 0.8))


def _reach(curve: Floats, part: float) -> float:
    """Return the least share of strong calls that recovers `part`, between two queries linearly."""
    at = int(np.argmax(curve >= part))
    step = curve[at] - curve[at - 1]
    return float((at - 1 + (part - curve[at - 1]) / step) / (len(curve) - 1))


def paired_difference(
    ours: Floats, other: Floats, gain: Floats, *, resamples: int = _RESAMPLES, seed: int = 1
) -> tuple[float, float]:
    """Return the 95 % bootstrap interval of our APGR less the other's, over the same queries."""
    random = np.random.default_rng(seed)
    differences: list[float] = []
    while len(differences) < resamples:
        rows = random.integers(0, len(gain), len(gain))
        if gain[rows].sum() > 0:
            differences.append(apgr(ours[rows], gain[rows]) - apgr(other[rows], gain[rows]))
    low, high = np.percentile(differences, [2.5, 97.5])
    return float(low), float(high)


def isotonic(values: Sequence[float] | Floats, weights: Sequence[float] | Floats) -> Floats:
    """Return the nearest rising sequence by least squares: pool adjacent violators.

    See Barlow et al. 1972, *Statistical Inference under Order Restrictions*.

    Example:
        >>> isotonic([1.0, 3.0, 2.0], [1.0, 1.0, 1.0]).tolist()
        [1.0, 2.5, 2.5]
    """
    blocks: list[tuple[float, float, int]] = []  # mean, weight, length
    for value, weight in zip(values, weights, strict=True):
        mean, mass, length = float(value), float(weight), 1
        while blocks and blocks[-1][0] >= mean:
            before, lighter, count = blocks.pop()
            mean = (before * lighter + mean * mass) / (lighter + mass)
            mass, length = lighter + mass, length + count
        blocks.append((mean, mass, length))
    parts: list[Any] = [np.full(length, mean) for mean, _, length in blocks]
    return np.concatenate(parts)
