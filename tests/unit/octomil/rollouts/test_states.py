"""Where a rollout stands, and what may follow."""

import pytest

from octomil.rollouts.states import TRANSITIONS, Action, RolloutState, TransitionError, follow


@pytest.mark.parametrize("action", Action)
@pytest.mark.parametrize("state", RolloutState)
def test_what_is_not_in_the_table_is_refused_by_both_names(action: Action, state: RolloutState):
    wanted = TRANSITIONS[action].get(state)

    if wanted is not None:
        assert follow(state, action) is wanted
        return
    with pytest.raises(TransitionError) as refusal:
        follow(state, action)
    assert action.replace("_", " ") in str(refusal.value)
    assert state.replace("_", " ") in str(refusal.value)


def test_what_is_over_stays_over():
    for action in Action:
        assert RolloutState.ROLLED_BACK not in TRANSITIONS[action]
        assert RolloutState.FAILED not in TRANSITIONS[action]


def test_only_what_is_under_way_fails():
    failing = {state for state in RolloutState if state in TRANSITIONS[Action.FAIL]}

    assert failing == {state for state in RolloutState if state.is_under_way}


def test_only_a_rollback_undoes_a_completed_rollout():
    leaving = {action for action in Action if RolloutState.COMPLETED in TRANSITIONS[action]}

    assert leaving == {Action.ROLL_BACK}


def test_the_open_states_are_those_that_may_still_offer():
    assert {state.value for state in RolloutState if state.is_open} == {
        "pending",
        "active",
        "paused",
    }


def test_every_state_can_be_reached():
    reached = {RolloutState.PENDING}
    for _ in RolloutState:
        reached |= {
            after
            for table in TRANSITIONS.values()
            for before, after in table.items()
            if before in reached
        }

    assert reached == set(RolloutState)


def test_a_refusal_says_what_to_do():
    with pytest.raises(TransitionError, match="resume it first"):
        follow(RolloutState.PAUSED, Action.ADVANCE)
    with pytest.raises(TransitionError, match="begin another"):
        follow(RolloutState.FAILED, Action.RESUME)
