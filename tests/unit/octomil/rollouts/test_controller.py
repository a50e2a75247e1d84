"""What a rollout does next by itself."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from octomil.rollouts.buckets import PLACES, threshold
from octomil.rollouts.controller import Wait, decide
from octomil.rollouts.evidence import Arm, Observation
from octomil.rollouts.plan import Pacing, Plan
from octomil.rollouts.states import CONTROLLER, Action, Progress, RolloutState, Transition
from octomil.rollouts.steps import next_step

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
PLAN = Plan()
GOOD = Arm(devices=800, failed=16)
UNCLEAR = Arm(devices=800, failed=34)
BAD = Arm(devices=800, failed=56)
OLD = Arm(devices=20_000, failed=400)


def active(offered: float = 10.0, step: int = 1, percentage: float = 10.0) -> Progress:
    return Progress(
        state=RolloutState.ACTIVE,
        step=step,
        base_percentage=percentage - 10,
        percentage=percentage,
        offered_percentage=offered,
        began_at=BEGIN,
        widened_at=BEGIN,
        revision=7,
    )


def after(
    seconds: float,
    candidate: Arm,
    progress: Progress,
    *,
    plan: Plan = PLAN,
    fleet: int = 100_000,
    reached: int | None = None,
    next_place: int | None = None,
    on_the_way: int = 0,
) -> Transition | Wait:
    observation = Observation(
        fleet=fleet, candidate=candidate, baseline=OLD, reached=reached, next_place=next_place,
        on_the_way=on_the_way,
    )  # fmt: skip
    return decide(plan, progress, observation, BEGIN + timedelta(seconds=seconds))


@pytest.mark.parametrize("state", set(RolloutState) - {RolloutState.ACTIVE, RolloutState.PAUSED})
def test_nothing_happens_to_what_is_not_under_way(state: RolloutState):
    found = after(1e6, BAD, replace(active(), state=state))

    assert isinstance(found, Wait)
    assert state.replace("_", " ") in found.reason


def test_a_breach_rolls_back_at_once_and_blocks():
    found = after(1, BAD, active(offered=1))

    assert isinstance(found, Transition)
    assert (found.action, found.after.state) == (Action.ROLL_BACK, RolloutState.ROLLED_BACK)
    assert (found.actor, found.blocks) == (CONTROLLER, True)
    assert found.reason.startswith("56 of 800 devices failed")
    assert found.judgement.findings[0].gate == "devices"
    assert found.after.revision == found.before.revision + 1 == 8


def test_a_breach_rolls_back_what_is_paused():
    found = after(1, BAD, replace(active(), state=RolloutState.PAUSED))

    assert isinstance(found, Transition)
    assert found.action is Action.ROLL_BACK


def test_nothing_else_happens_to_what_is_paused():
    for arm in (GOOD, UNCLEAR):
        assert isinstance(after(1e6, arm, replace(active(), state=RolloutState.PAUSED)), Wait)


def test_a_passed_wave_is_followed_by_the_next_after_a_while():
    early, late = after(299, GOOD, active(offered=1)), after(300, GOOD, active(offered=1))

    assert isinstance(early, Wait)
    assert early.until == BEGIN + timedelta(seconds=300)
    assert isinstance(late, Transition)
    assert (late.action, late.after.offered_percentage) == (Action.WIDEN, 3)
    assert late.after.widened_at == late.at
    assert (late.after.step, late.after.began_at) == (1, BEGIN)


def test_a_passed_step_is_followed_by_the_next_once_it_has_lasted():
    early, late = after(899, GOOD, active()), after(900, GOOD, active())

    assert isinstance(early, Wait)
    assert early.until == BEGIN + timedelta(seconds=900)
    assert isinstance(late, Transition)
    assert late.action is Action.ADVANCE
    assert (late.after.step, late.after.percentage, late.after.offered_percentage) == (2, 20, 11)
    assert late.after.base_percentage == 10
    assert late.after.began_at == late.after.widened_at == late.at


def test_the_last_step_completes_the_rollout():
    found = after(900, GOOD, active(offered=100, step=10, percentage=100))

    assert isinstance(found, Transition)
    assert found.after.state is RolloutState.COMPLETED


def test_steps_are_left_to_people_if_they_want_that():
    plan = Plan(is_automatic=False)

    assert isinstance(after(1e4, GOOD, active(), plan=plan), Wait)
    assert isinstance(after(1, BAD, active(), plan=plan), Transition)


@pytest.mark.parametrize("seconds", [900, 10_000, 86_399])
def test_without_a_verdict_nothing_goes_on(seconds: float):
    found = after(seconds, UNCLEAR, active(offered=1))

    assert isinstance(found, Wait)
    assert found.until == BEGIN + timedelta(days=1)
    assert found.judgement is not None


def test_without_a_verdict_for_long_it_pauses_for_somebody_to_look():
    found = after(86_400, UNCLEAR, active(offered=1))

    assert isinstance(found, Transition)
    assert (found.action, found.after.state) == (Action.PAUSE, RolloutState.PAUSED)
    assert not found.blocks


def test_without_devices_nothing_goes_on():
    assert isinstance(after(86_399, Arm(), active()), Wait)


def test_a_small_fleet_s_first_percent_is_widened_for_want_of_devices():
    few = Arm(devices=90, failed=3)
    small = after(900, few, active(offered=1), fleet=10_000)

    assert isinstance(small, Transition)
    assert (small.action, small.after.offered_percentage) == (Action.WIDEN, 3)
    assert isinstance(after(899, few, active(offered=1), fleet=10_000), Wait)
    assert isinstance(after(900, few, active(offered=1), fleet=100_000), Wait)
    assert isinstance(after(900, few, active(offered=10), fleet=5_000), Wait), "not the next step"


def test_the_first_percent_is_looked_at_again_when_it_could_be_widened():
    few = Arm(devices=90, failed=3)
    slow = Plan(pacing=Pacing(interval_s=1_200))

    for plan, seconds in ((PLAN, 900), (slow, 1_200)):
        found = after(10, few, active(offered=1), plan=plan, fleet=10_000)
        assert isinstance(found, Wait)
        assert found.until == BEGIN + timedelta(seconds=seconds)
        early = after(seconds - 1, few, active(offered=1), plan=plan, fleet=10_000)
        assert isinstance(early, Wait)
        late = after(seconds, few, active(offered=1), plan=plan, fleet=10_000)
        assert isinstance(late, Transition)


def test_a_wave_that_reaches_nobody_is_not_waited_for():
    nobody = after(0, Arm(), active(offered=7), fleet=10)

    assert isinstance(nobody, Transition)
    assert (nobody.action, nobody.after.offered_percentage) == (Action.WIDEN, 10)
    assert isinstance(after(0, Arm(), active(offered=7), fleet=15), Wait), "one device is in it"
    assert isinstance(after(0, Arm(), active(offered=10), fleet=5), Wait), "not the next step"


def test_a_step_that_is_known_to_reach_nobody_passes():
    early = after(899, Arm(), active(offered=10), fleet=5, reached=0)
    assert isinstance(early, Wait), "people may look at it for as long as at any other"

    passed = after(900, Arm(), active(offered=10), fleet=5, reached=0)

    assert isinstance(passed, Transition)
    assert passed.action is Action.ADVANCE
    assert "no device of the fleet" in passed.reason
    assert isinstance(after(900, Arm(), active(offered=10), fleet=5, reached=1), Wait)


def test_its_waves_are_not_waited_for_either():
    nobody = after(0, Arm(), active(offered=1), fleet=500, reached=0)

    assert isinstance(nobody, Transition)
    assert nobody.action is Action.WIDEN
    assert isinstance(after(0, Arm(), active(offered=1), fleet=500, reached=1), Wait)


def test_after_a_pass_a_wave_that_adds_nobody_is_not_waited_for():
    plan = Plan(dwell_s=0)
    well, waves = Arm(devices=1), active(offered=3)

    def at_once(arm: Arm, next_place: int) -> Transition | Wait:
        return after(0, arm, waves, plan=plan, fleet=5, reached=1, next_place=next_place)

    found = at_once(well, threshold(7))
    assert isinstance(found, Transition)
    assert found.action is Action.WIDEN
    assert isinstance(at_once(well, threshold(7) - 1), Wait)
    assert isinstance(at_once(Arm(under_way=1), PLACES), Wait)


@pytest.mark.parametrize(
    ("next_place", "share"),
    [(threshold(5), 5.01), (threshold(5) - 1, 5), (threshold(0.01), 0.02), (PLACES, 10)],
)
def test_of_waves_that_reach_nobody_all_are_taken_at_once(next_place: int, share: float):
    plan = Plan(pacing=Pacing(first_percentage=0.01, growth=1))
    begun = active(offered=0.01)

    counted = after(0, Arm(), begun, plan=plan, fleet=5, reached=0, next_place=next_place)

    assert isinstance(counted, Transition)
    assert (counted.action, counted.after.offered_percentage) == (Action.WIDEN, share)


def test_without_a_count_waves_are_taken_up_to_the_first_whole_device():
    plan = Plan(pacing=Pacing(first_percentage=0.01, growth=1))

    found = after(0, Arm(), active(offered=0.01), plan=plan, fleet=2_000)

    assert isinstance(found, Transition)
    assert found.after.offered_percentage == 0.05


def test_nothing_passes_in_a_fleet_of_nobody():
    last = active(offered=100, step=10, percentage=100)

    assert isinstance(after(900, Arm(), last, fleet=0, reached=0), Wait)


def test_a_device_that_was_heard_of_counts_though_nobody_is_in_the_share_any_more():
    gone_ill = after(900, Arm(devices=1, failed=1), active(offered=10), fleet=5, reached=0)

    assert isinstance(gone_ill, Transition)
    assert gone_ill.action is Action.ROLL_BACK


def test_few_devices_wait_for_those_on_the_way_and_many_do_not():
    """They hold up a pass and the next wave, never a breach."""
    few, many = Arm(devices=3), Arm(devices=800, failed=16)
    awaited = {"on_the_way": 1, "fleet": 5}

    held = after(1e4, few, active(), **awaited)
    assert isinstance(held, Wait)
    assert "0 of 3 devices failed" in held.judgement.findings[0].reason
    assert "1 more on the way" in held.judgement.findings[0].reason
    assert isinstance(after(1e4, few, active(offered=5), reached=1, **awaited), Wait)
    paused = after(PLAN.patience_s, few, active(), **awaited)
    assert isinstance(paused, Transition)
    assert paused.action is Action.PAUSE

    for arm, observed, action in (
        (few, {"fleet": 5}, Action.ADVANCE),
        (Arm(devices=4, failed=3), awaited, Action.ROLL_BACK),
        (many, awaited, Action.ADVANCE),
    ):
        found = after(1e4, arm, active(), **observed)
        assert isinstance(found, Transition)
        assert found.action is action


def test_who_is_under_way_is_waited_for():
    few = Arm(devices=90, failed=3, under_way=1)

    assert isinstance(after(900, few, active(offered=1), fleet=10_000), Wait)


def test_in_a_small_fleet_all_that_tried_must_be_well():
    well, one_ill = Arm(devices=8), Arm(devices=8, failed=1)

    passed = after(900, well, active(), fleet=100)
    assert isinstance(passed, Transition)
    assert passed.action is Action.ADVANCE
    assert isinstance(after(900, one_ill, active(), fleet=100), Wait)
    assert isinstance(after(100, well, active(), fleet=100), Wait), "others may still come"


def test_in_a_small_fleet_half_of_those_that_tried_stop_it_once_all_had_their_time():
    half = Arm(devices=4, failed=2)

    assert isinstance(after(899, half, active(), fleet=100), Wait)
    found = after(900, half, active(), fleet=100)
    assert isinstance(found, Transition)
    assert found.action is Action.ROLL_BACK


@pytest.mark.parametrize(
    ("reached", "few", "stops"),
    [
        (9, Arm(devices=1, failed=1), False),
        (9, Arm(devices=2, failed=1), False),
        (9, Arm(devices=2, failed=2), True),
        (3, Arm(devices=1, failed=1), False),
        (2, Arm(devices=1, failed=1), True),
        (1, Arm(devices=1, failed=1), True),
    ],
)
def test_one_broken_device_stops_only_a_step_that_has_hardly_another(
    reached: int, few: Arm, stops: bool
):
    for known, fleet in ((reached, 900), (None, 100 * reached)):
        found = after(901, few, active(offered=1), fleet=fleet, reached=known)
        assert (isinstance(found, Transition) and found.action is Action.ROLL_BACK) is stops


def test_the_first_step_is_the_plan_s():
    first = next_step(PLAN, Progress(), BEGIN)

    assert (first.step, first.percentage, first.offered_percentage) == (1, 10, 1)
    assert next_step(PLAN, Progress(), BEGIN, 5).percentage == 5
