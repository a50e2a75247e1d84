"""What a rollout is to do."""

import pytest

from octomil.rollouts.limits import LimitsError
from octomil.rollouts.plan import MAX_WAIT_S, Pacing, Plan, PlanError, check_percentage


def test_the_documented_call_goes_up_by_tens():
    assert Plan().steps() == tuple(range(10, 101, 10))


@pytest.mark.parametrize(
    ("first", "increment", "target", "steps"),
    [
        (20, 40, 100, (20, 60, 100)),
        (10, 25, 50, (10, 35, 50)),
        (0.1, 0.1, 0.3, (0.1, 0.2, 0.3)),
        (100, 0, 100, (100,)),
        (50, 80, 100, (50, 100)),
    ],
)
def test_the_last_step_adds_what_is_left(first, increment, target, steps):
    plan = Plan(rollout_percentage=first, increment_step=increment, target_percentage=target)

    assert plan.steps() == steps


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("rollout_percentage", 0),
        ("rollout_percentage", 101),
        ("rollout_percentage", 0.0001),
        ("target_percentage", 5),
        ("target_percentage", 100.5),
        ("increment_step", 0),
        ("increment_step", -1),
        ("dwell_s", -1),
        ("dwell_s", float("nan")),
        ("patience_s", 10),
        ("patience_s", MAX_WAIT_S + 1),
    ],
)
def test_what_makes_no_sense_is_refused_by_its_name(field: str, value: float):
    with pytest.raises(PlanError, match=field):
        Plan(**{field: value})


@pytest.mark.parametrize(
    ("field", "value"),
    [("first_percentage", 0), ("first_percentage", 200), ("growth", 0.5), ("interval_s", -1)],
)
def test_a_pace_makes_sense(field: str, value: float):
    with pytest.raises(PlanError, match=field):
        Pacing(**{field: value})


def test_both_kinds_of_refusal_are_value_errors():
    assert issubclass(PlanError, ValueError)
    assert issubclass(LimitsError, ValueError)


def test_a_custom_increment_leads_to_the_target_and_no_further():
    assert Plan().following(10, 25) == 35
    assert Plan().following(90, 25) == 100
    with pytest.raises(PlanError, match="nowhere"):
        Plan().following(10, 0)
    with pytest.raises(PlanError, match="increment"):
        Plan().following(10, -5)


def test_a_percentage_is_checked_by_its_name():
    check_percentage("percentage", 50)
    with pytest.raises(PlanError, match=r"percentage: .* got 500"):
        check_percentage("percentage", 500)
