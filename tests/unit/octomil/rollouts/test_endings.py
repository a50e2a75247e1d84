"""What becomes of devices that had come to no end when their rollout was over."""

from datetime import UTC, datetime, timedelta

import pytest

from octomil.rollouts.device_states import SILENCE, DeviceProgress, DeviceState, Outcome
from octomil.rollouts.endings import ended, silent_since

NOW = datetime(2026, 1, 1, tzinfo=UTC)
WINDOW_S = 300.0
TOO_LONG = timedelta(seconds=WINDOW_S) + SILENCE
UNFINISHED = [state for state in DeviceState if not state.has_ended]
ENDS = [state for state in DeviceState if state.has_ended]


def at(state: DeviceState, since: datetime = NOW) -> DeviceProgress:
    return DeviceProgress(digest="new", generation=3, state=state, reached=state, since=since)


@pytest.mark.parametrize("state", UNFINISHED)
def test_who_is_told_to_run_another_version_is_let_go_at_once(state: DeviceState):
    found = ended(at(state), health_window_s=WINDOW_S, is_told=False, now=NOW)

    assert (found.state, found.reached, found.since) == (DeviceState.SUPERSEDED, state, NOW)
    assert found.outcome is Outcome.NOTHING


@pytest.mark.parametrize("state", UNFINISHED)
def test_who_may_still_take_it_has_its_time(state: DeviceState):
    early, late = NOW + TOO_LONG - timedelta(seconds=1), NOW + TOO_LONG

    in_time = ended(at(state), health_window_s=WINDOW_S, is_told=True, now=early)
    too_late = ended(at(state), health_window_s=WINDOW_S, is_told=True, now=late)

    assert in_time == at(state)
    assert (too_late.state, too_late.reached) == (DeviceState.TIMED_OUT, state)
    assert too_late.code == f"{state}_took_too_long"
    assert silent_since(WINDOW_S, late) == NOW


@pytest.mark.parametrize("is_told", [True, False])
@pytest.mark.parametrize("state", ENDS)
def test_who_has_ended_stays_so(state: DeviceState, is_told: bool):
    found = ended(at(state), health_window_s=WINDOW_S, is_told=is_told, now=NOW + 2 * TOO_LONG)

    assert found == at(state)
