"""What is done to a rollout whatever its gates say."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from octomil.rollouts import commands
from octomil.rollouts.controller import Wait, decide
from octomil.rollouts.evidence import Arm, Observation
from octomil.rollouts.plan import Plan, PlanError
from octomil.rollouts.states import (
    CONTROLLER,
    Action,
    Progress,
    RolloutState,
    Transition,
    TransitionError,
)

NOW = datetime(2026, 1, 1, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)
PLAN = Plan()
BY = {"now": LATER, "actor": "key_1", "reason": "because"}
STARTED = commands.start(PLAN, Progress(), now=NOW, actor="key_1").after
PAUSED = commands.pause(STARTED, **BY).after


def test_a_start_offers_the_first_wave_of_the_first_step():
    made = commands.start(PLAN, Progress(), **BY)

    assert (made.action, made.actor, made.reason, made.at) == (
        Action.START,
        "key_1",
        "because",
        LATER,
    )
    after = made.after
    assert (after.state, after.step, after.revision) == (RolloutState.ACTIVE, 1, 1)
    assert (after.percentage, after.offered_percentage) == (10, 1)


def test_what_is_so_already_is_no_transition():
    assert commands.start(PLAN, STARTED, **BY) is None
    assert commands.pause(PAUSED, **BY) is None
    assert commands.resume(STARTED, **BY) is None
    assert commands.set_percentage(PLAN, STARTED, 10, **BY) is None
    over = commands.roll_back(STARTED, **BY).after
    assert commands.roll_back(over, **BY) is None
    failed = commands.fail(STARTED, **BY).after
    assert commands.fail(failed, **BY) is None


def test_a_pause_keeps_everything_and_a_resume_waits_anew():
    assert replace(PAUSED, state=RolloutState.ACTIVE, revision=1) == STARTED
    resumed = commands.resume(PAUSED, **BY).after
    assert resumed == replace(STARTED, revision=3, widened_at=LATER)


def test_an_advance_starts_what_is_pending():
    after = commands.advance(PLAN, Progress(), **BY).after

    assert (after.state, after.step, after.percentage) == (RolloutState.ACTIVE, 1, 10)
    assert commands.advance(PLAN, Progress(), increment=25, **BY).after.percentage == 25


def test_an_advance_takes_the_next_step_whatever_the_gates_say():
    made = commands.advance(PLAN, STARTED, **BY)

    assert made.judgement is None
    assert (made.after.step, made.after.percentage) == (2, 20)
    assert (made.after.base_percentage, made.after.offered_percentage) == (1, 2)
    assert commands.advance(PLAN, STARTED, increment=40, **BY).after.percentage == 50


def test_an_advance_from_the_last_step_completes_and_offers_it_to_all():
    last = commands.set_percentage(PLAN, STARTED, 100, **BY).after
    made = commands.advance(PLAN, last, **BY)

    assert made.action is Action.COMPLETE
    assert (made.after.state, made.after.offered_percentage) == (RolloutState.COMPLETED, 100)


def test_more_devices_are_a_step_of_their_own():
    after = commands.set_percentage(PLAN, STARTED, 50, **BY).after

    assert (after.step, after.percentage, after.offered_percentage) == (2, 50, 2)
    assert after.began_at == LATER


def test_fewer_devices_take_it_from_those_above_alone():
    wide = replace(STARTED, percentage=30.0, offered_percentage=20.0, base_percentage=10.0)
    less = commands.set_percentage(PLAN, wide, 5, **BY).after

    assert (less.step, less.base_percentage, less.percentage, less.offered_percentage) == (
        1,
        5,
        5,
        5,
    )
    narrower = commands.set_percentage(PLAN, wide, 25, **BY).after
    assert (narrower.percentage, narrower.offered_percentage) == (25, 20)


@pytest.mark.parametrize("share", [0, 5])
def test_a_lowered_share_does_not_climb_again_by_itself(share: float):
    wide = replace(STARTED, percentage=20.0, offered_percentage=20.0, base_percentage=10.0)
    made = commands.set_percentage(PLAN, wide, share, **BY)
    well = Observation(fleet=100, candidate=Arm(devices=9), reached=0)

    assert (made.action, made.after.state) == (Action.LOWER, RolloutState.PAUSED)
    assert isinstance(decide(PLAN, made.after, well, LATER + timedelta(days=9)), Wait)
    resumed = commands.resume(made.after, **BY).after
    after = decide(PLAN, resumed, well, LATER + timedelta(days=9))
    assert isinstance(after, Transition)
    assert after.action is Action.ADVANCE


def test_a_paused_rollout_s_share_may_be_set_and_it_stays_paused():
    assert commands.set_percentage(PLAN, PAUSED, 30, **BY).after.state is RolloutState.PAUSED


@pytest.mark.parametrize("percentage", [-1, 101, 0.00001])
def test_a_share_that_is_none_is_refused(percentage: float):
    with pytest.raises(PlanError, match="percentage"):
        commands.set_percentage(PLAN, STARTED, percentage, **BY)


def test_no_share_goes_beyond_the_target():
    with pytest.raises(PlanError, match="above the target, 50 %"):
        commands.set_percentage(Plan(target_percentage=50), STARTED, 60, **BY)


def test_a_rollback_by_hand_blocks_nothing():
    made = commands.roll_back(STARTED, **BY)

    assert (made.after.state, made.blocks) == (RolloutState.ROLLED_BACK, False)


@pytest.mark.parametrize("before", [STARTED, PAUSED])
def test_a_failure_ends_what_is_under_way_and_blocks_nothing(before: Progress):
    made = commands.fail(before, now=LATER, actor=CONTROLLER, reason="a file is lost")

    assert (made.action, made.actor, made.reason) == (Action.FAIL, CONTROLLER, "a file is lost")
    assert made.after == replace(before, state=RolloutState.FAILED, revision=before.revision + 1)
    assert not made.blocks


def test_only_what_offers_to_more_sends_devices_for_the_version():
    assert commands.start(PLAN, Progress(), **BY).offers_to_more
    assert commands.advance(PLAN, STARTED, **BY).offers_to_more
    for made in (
        commands.pause(STARTED, **BY),
        commands.roll_back(STARTED, **BY),
        commands.fail(STARTED, **BY),
        commands.set_percentage(PLAN, STARTED, 0.5, **BY),
    ):
        assert not made.offers_to_more


def test_what_cannot_be_done_is_refused():
    over = commands.roll_back(STARTED, **BY).after
    for refused in (
        lambda: commands.advance(PLAN, PAUSED, **BY),
        lambda: commands.pause(Progress(), **BY),
        lambda: commands.resume(over, **BY),
        lambda: commands.start(PLAN, PAUSED, **BY),
        lambda: commands.set_percentage(PLAN, Progress(), 10, **BY),
        lambda: commands.start(PLAN, over, **BY),
        lambda: commands.fail(Progress(), **BY),
        lambda: commands.fail(over, **BY),
        lambda: commands.roll_back(commands.fail(STARTED, **BY).after, **BY),
    ):
        with pytest.raises(TransitionError, match="cannot"):
            refused()
