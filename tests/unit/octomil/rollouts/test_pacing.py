"""How offers are spread inside a step."""

from itertools import pairwise

import pytest

from octomil.rollouts.pacing import (
    first_offer,
    next_offer,
    offered_devices,
    refuse_too_many_waves,
)
from octomil.rollouts.plan import Pacing, Plan, PlanError
from octomil.rollouts.states import Progress

PACING = Pacing()


def offers(pacing: Pacing, base: float, percentage: float) -> list[float]:
    """All offers of a step."""
    found = [first_offer(pacing, base, percentage)]
    while found[-1] < percentage:
        progress = Progress(
            base_percentage=base, percentage=percentage, offered_percentage=found[-1]
        )
        found.append(next_offer(pacing, progress))
    return found


def test_a_step_begins_with_one_percent_of_the_fleet_and_doubles():
    assert offers(PACING, 0, 10) == [1, 3, 7, 10]
    assert offers(PACING, 10, 20) == [11, 13, 17, 20]
    assert offers(PACING, 0, 100) == [1, 3, 7, 15, 31, 63, 100]


@pytest.mark.parametrize(
    ("plan", "waves"),
    [
        (Plan(pacing=Pacing(first_percentage=0.1, growth=1)), 1_000),
        (Plan(pacing=Pacing(first_percentage=0.099, growth=1)), 1_020),
        (Plan(rollout_percentage=0.1, increment_step=0.1), 1_000),
        (Plan(rollout_percentage=0.1, increment_step=0.09), 1_111),
    ],
)
def test_a_plan_of_more_than_a_thousand_waves_is_refused(plan: Plan, waves: int):
    bounds = [0.0, *plan.steps()]
    steps = pairwise(bounds)
    assert sum(len(offers(plan.pacing, *step)) for step in steps) == waves
    if waves <= 1_000:
        refuse_too_many_waves(plan)
        return
    with pytest.raises(PlanError, match="more than 1,000 waves"):
        refuse_too_many_waves(plan)


def test_a_small_step_is_one_wave():
    assert offers(PACING, 0, 0.5) == [0.5]
    assert offers(PACING, 99.5, 100) == [100]


def test_without_growth_all_waves_are_alike():
    assert offers(Pacing(first_percentage=2, growth=1), 0, 7) == [2, 4, 6, 7]


def test_an_offer_that_was_set_by_hand_goes_on_from_there():
    progress = Progress(base_percentage=0, percentage=10, offered_percentage=2)

    assert next_offer(PACING, progress) == 4


def test_nothing_is_taken_back_by_a_wave():
    progress = Progress(base_percentage=0, percentage=5, offered_percentage=8)

    assert next_offer(PACING, progress) == 8


def test_the_devices_of_a_step_are_those_it_added():
    progress = Progress(base_percentage=10, percentage=20, offered_percentage=11)

    assert offered_devices(progress, 100_000) == 1_000
    assert offered_devices(progress, 50) == 0
