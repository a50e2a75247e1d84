"""From fitted weights to a file of coefficients: the scale, the tiers' anchors, expected gain."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from octomil.routing.calibration.design import Design
from octomil.routing.calibration.fitting import Fit, Scale
from octomil.routing.calibration.metrics import Flags, Floats, isotonic
from octomil.routing.coefficients import Coefficients
from octomil.routing.complexity import LATENT_SHARE, ComplexityScorer, bounded, curve_knots
from octomil.routing.features import signals

_LOW, _HIGH = 0.3, 0.7
_KNOTS = 12
_WIDEST = 12.0  # latent values lie within
_NARROW = 0.004  # latent width of a middle tier that is to be empty


def coefficients_of(
    design: Design, used: Flags, fit: Fit, *, strong_share: float, balanced_share: float
) -> Coefficients:
    """Turn a fit into coefficients whose scores meet the requested shares.

    Half of the traffic to come is taken to be of topics that the log has, half of other topics:
    what was predicted for rows held out alone, and for those held out with all their topic.

    Args:
        design: the log.
        used: the rows that were fitted.
        fit: what they gave.
        strong_share: share of prompts that is to score 0.7 or more.
        balanced_share: share of prompts that is to score between 0.3 and 0.7.
    """
    weights = fit.weights
    scale = Scale.of(weights.predict(design), design, used)
    unit = float(np.abs(weights.grams).max()) / 127 or 1e-9
    raw = Coefficients(
        style=tuple(map(float, weights.style)),
        centres=tuple(map(float, weights.centres)),
        grams=np.rint(weights.grams / unit).astype(np.int8).tobytes(),
        gram_unit=unit,
        offset=scale.offset,
        spread=scale.spread,
        anchors=(-1.0, 1.0),
        gain_at=((0.0, 0.0),),
        rows=int(used.sum()),
        strong_share=strong_share,
    )
    scorer = ComplexityScorer(raw)
    prompts = design.prompts_of(used)
    found = [signals(prompt, 1, "") for prompt in prompts]
    priors = np.array([scorer.latent(0.0, p, s) for p, s in zip(prompts, found, strict=True)])
    shares = np.array([scorer.signal_shares(each) for each in found])
    seen, unseen = (
        priors + np.array(list(map(bounded, learned[used], design.trust[used])))
        for learned in (fit.held_out_alone, fit.held_out)
    )
    anchors = _anchors(
        np.concatenate([seen, unseen]), np.tile(shares, 2), strong_share, balanced_share
    )
    return replace(raw, anchors=anchors, gain_at=_gain_at(unseen, design.gain[used]))


def _anchors(latent: Floats, shares: Floats, strong: float, balanced: float) -> tuple[float, float]:
    """Find, by bisection, the anchors that give the requested shares."""

    def share_from(score: float, low: float, high: float) -> float:
        curve = np.interp(latent, *np.transpose(curve_knots(low, high)))
        return float((LATENT_SHARE * curve + shares >= score).mean())

    low, high = -1.0, 1.0
    for _ in range(12):
        if balanced:
            high = _bisect(lambda x: share_from(_HIGH, low, x) - strong, low + _NARROW, _WIDEST)  # noqa: B023 - called at once
            low = _bisect(
                lambda x: share_from(_LOW, x, high) - strong - balanced,  # noqa: B023 - called at once
                -_WIDEST,
                high - _NARROW,
            )
        else:
            high = _bisect(lambda x: share_from(_HIGH, x - _NARROW, x) - strong, -_WIDEST, _WIDEST)
            low = high - _NARROW
    return low, high


def _bisect(excess: Callable[[float], float], low: float, high: float) -> float:
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (middle, high) if excess(middle) > 0 else (low, middle)
    return (low + high) / 2


def _gain_at(latent: Floats, gain: Floats) -> tuple[tuple[float, float], ...]:
    """Return knots of the expected gain: means of equal groups, made to rise."""
    order = np.argsort(latent, kind="stable")
    groups = [group for group in np.array_split(order, _KNOTS) if len(group)]
    at = [float(latent[group].mean()) for group in groups]
    rising = isotonic([gain[group].mean() for group in groups], [len(group) for group in groups])
    knots = [(np.float32(x), np.float32(y)) for x, y in zip(at, rising, strict=True)]
    return tuple(
        (float(x), float(y)) for at, (x, y) in enumerate(knots) if at == 0 or x > knots[at - 1][0]
    )
