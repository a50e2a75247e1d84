"""The tests of one failure rate against another, and what they promise at every look."""

import math

import numpy as np
import pytest

from octomil.rollouts.excess import Tally, is_above, is_below, log_evidence_below, log_ratio
from octomil.rollouts.limits import Excess

EXCESS = Excess(0.005, 0.04)
OLD = Tally(1_600, 80_000)


def test_a_rate_far_above_is_found_and_one_alike_is_passed():
    assert is_above(Tally(56, 800), OLD, EXCESS, 0.01)
    assert not is_below(Tally(56, 800), OLD, EXCESS, 0.02)
    assert is_below(Tally(16, 800), OLD, EXCESS, 0.02)
    assert not is_above(Tally(16, 800), OLD, EXCESS, 0.01)


def test_between_the_bounds_there_may_be_no_verdict():
    between = Tally(34, 800)

    assert not is_above(between, OLD, EXCESS, 0.01)
    assert not is_below(between, OLD, EXCESS, 0.02)


def test_nothing_is_said_of_nothing():
    nothing = Tally(0, 0)

    for old in (OLD, nothing, 0.02):
        assert not is_above(nothing, old, EXCESS, 0.01)
        assert not is_below(nothing, old, EXCESS, 0.02)
    assert log_evidence_below(Tally(0, 500), nothing, 0.04) == 0.0


def test_a_known_rate_needs_no_arm():
    assert is_above(Tally(56, 800), 0.02, EXCESS, 0.01)
    assert is_below(Tally(16, 800), 0.02, EXCESS, 0.02)


def test_where_everything_may_fail_nothing_is_worse():
    assert not is_above(Tally(10, 10), 0.99, EXCESS, 0.01)
    assert log_ratio(Tally(10, 10), claimed=1.0, refuted=0.5) == -math.inf


@pytest.mark.parametrize("old", [Tally(0, 900), Tally(20, 900), Tally(860, 900)])
def test_a_version_that_looks_just_as_unacceptable_has_no_evidence_for_it(old: Tally):
    failures = math.ceil(1_000 * (old.failures / old.trials + 0.04))

    assert log_evidence_below(Tally(failures, 1_000), old, 0.04) == 0.0
    assert log_evidence_below(Tally(failures - 20, 1_000), old, 0.04) < 2


def test_few_devices_on_the_old_version_are_enough_to_pass():
    """Bounding the old rate would say nothing here; the evidence has half of the chance."""
    new, old = Tally(26, 1_100), Tally(15, 850)
    alpha = math.exp(-log_evidence_below(new, old, EXCESS.unacceptable))

    assert 0.0001 < alpha < 0.02
    assert is_below(new, old, EXCESS, 2.01 * alpha)
    assert not is_below(new, old, EXCESS, 1.99 * alpha)


@pytest.mark.parametrize("rate", [0.01, 0.1])
def test_the_likelihood_of_an_excess_is_the_greatest_there_is(rate: float):
    new, old = Tally(30, 900), Tally(int(rate * 2_000), 2_000)
    grid = np.linspace(1e-6, 0.95, 200_000)
    likelihoods = sum(
        each.failures * np.log(rates) + (each.trials - each.failures) * np.log1p(-rates)
        for each, rates in ((old, grid), (new, grid + 0.04))
    )
    k, n = new.failures + old.failures, new.trials + old.trials
    same = math.lgamma(k + 0.5) + math.lgamma(n - k + 0.5) - math.lgamma(n + 1) - math.log(math.pi)

    assert log_evidence_below(new, old, 0.04) == pytest.approx(same - likelihoods.max(), abs=1e-4)


def ever(decide, new_rate: float, seed: int, streams: int = 100) -> float:
    """The share of streams in which a test ever says so, looked at every 50 devices."""
    rng = np.random.default_rng(seed)
    told = 0
    for _ in range(streams):
        new = np.cumsum(rng.random(1_000) < new_rate)
        old = np.cumsum(rng.random(4_000) < 0.02)
        told += any(
            decide(Tally(int(new[n - 1]), n), Tally(int(old[4 * n - 1]), 4 * n))
            for n in range(50, 1_001, 50)
        )
    return told / streams


def test_however_often_one_looks_a_tolerated_version_is_rarely_found_bad():
    def decide(new: Tally, old: Tally) -> bool:
        return is_above(new, old, EXCESS, 0.05)

    assert ever(decide, 0.02 + EXCESS.tolerated, seed=1) <= 0.05
    assert ever(decide, 0.08, seed=2) >= 0.9


def test_however_often_one_looks_an_unacceptable_version_is_rarely_passed():
    def decide(new: Tally, old: Tally) -> bool:
        return is_below(new, old, EXCESS, 0.05)

    assert ever(decide, 0.02 + EXCESS.unacceptable, seed=3) <= 0.05
    assert ever(decide, 0.02, seed=4) >= 0.9
