"""A scaled sample of `bench/rollouts.py`, with its own seeds."""

from bench.fleets import World, courses

from octomil.rollouts.plan import Plan
from octomil.rollouts.states import Action, RolloutState


def test_a_version_that_breaks_devices_is_rolled_back_before_two_percent_have_it():
    found = list(courses(World(extra_failures=0.05), Plan(), 10, first_seed=10_000))

    assert sum(each.is_caught_below(0.02) for each in found) >= 9
    assert all(each.progress.step == 1 for each in found)


def test_a_version_that_breaks_requests_is_rolled_back():
    found = next(courses(World(extra_errors=0.05), Plan(), 1, first_seed=10_100))

    assert found.is_caught_below(0.02)
    assert found.history[-1].reason.startswith("errors")


def test_a_good_version_comes_to_all_who_are_there():
    found = next(courses(World(), Plan(), 1, first_seed=10_200))

    assert found.state is RolloutState.COMPLETED
    assert found.took > 0.8
    steps = [each.after.percentage for each in found.history if each.action is Action.ADVANCE]
    assert steps == [20, 30, 40, 50, 60, 70, 80, 90, 100]
