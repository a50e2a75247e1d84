"""Where a device stands, by its own reports."""

from datetime import UTC, datetime, timedelta

import pytest

from octomil.rollouts.device_states import (
    CIRCUMSTANCES,
    WRONG_DIGEST,
    DeviceProgress,
    DeviceState,
    Outcome,
    Report,
    heard,
    let_go,
    offered_again,
    overdue,
)

NOW = datetime(2026, 1, 1, tzinfo=UTC)
LATER = NOW + timedelta(minutes=10)
STAGES = list(DeviceState)[:7]
ENDS = list(DeviceState)[7:]


def device(state: DeviceState = DeviceState.OFFERED) -> DeviceProgress:
    return DeviceProgress(digest="new", generation=3, state=state, reached=state, since=NOW)


def report(state: DeviceState, generation: int = 3, digest: str | None = None, code: str = ""):
    return Report(generation=generation, state=state, digest=digest, code=code)


def test_a_device_goes_all_the_way():
    found = device(DeviceState.PENDING)
    for stage in STAGES[1:]:
        found = heard(found, report(stage), LATER)
        assert (found.state, found.since) == (stage, LATER)
        assert found.outcome is None
    found = heard(found, report(DeviceState.SUCCEEDED, digest="new"), LATER)
    assert found.outcome is Outcome.HEALTHY


def test_the_states_are_told_apart():
    assert [state for state in DeviceState if not state.has_ended] == STAGES
    assert [state for state in DeviceState if state.is_under_way] == STAGES[2:]


def test_stages_may_be_passed_over_but_not_gone_back_to():
    staged = heard(device(), report(DeviceState.STAGED), LATER)

    assert staged.state is DeviceState.STAGED
    assert heard(staged, report(DeviceState.DOWNLOADING), LATER) is staged
    assert heard(staged, report(DeviceState.STAGED), LATER) is staged


@pytest.mark.parametrize("generation", [2, 4])
def test_a_report_on_another_offer_says_nothing(generation: int):
    offered = device()

    assert heard(offered, report(DeviceState.FAILED, generation), LATER) is offered


def test_another_digest_than_the_offered_one_is_no_success():
    for digest in ("old", None):
        found = heard(device(), report(DeviceState.SUCCEEDED, digest=digest), LATER)
        assert (found.state, found.code) == (DeviceState.FAILED, WRONG_DIGEST)
        assert found.outcome is Outcome.BROKEN


@pytest.mark.parametrize("end", ENDS)
def test_an_end_is_an_end_but_a_success_may_be_undone(end: DeviceState):
    ended = heard(device(), report(end, digest="new"), NOW)
    undoing = {DeviceState.FAILED, DeviceState.ROLLED_BACK, DeviceState.SUPERSEDED}

    for state in DeviceState:
        after = heard(ended, report(state, digest="new"), LATER)
        may = end is DeviceState.SUCCEEDED and state in undoing
        assert (after is not ended) is may


@pytest.mark.parametrize("code", sorted(CIRCUMSTANCES))
def test_a_failure_of_the_circumstances_says_nothing_about_the_version(code: str):
    assert heard(device(), report(DeviceState.FAILED, code=code), LATER).outcome is Outcome.NOTHING


@pytest.mark.parametrize(
    ("end", "outcome"),
    [
        (DeviceState.FAILED, Outcome.BROKEN),
        (DeviceState.ROLLED_BACK, Outcome.BROKEN),
        (DeviceState.SKIPPED, Outcome.NOTHING),
        (DeviceState.SUPERSEDED, Outcome.NOTHING),
    ],
)
def test_what_an_end_says(end: DeviceState, outcome: Outcome):
    assert heard(device(), report(end, code="smoke_test"), LATER).outcome is outcome


@pytest.mark.parametrize(
    ("stage", "outcome"),
    [
        (DeviceState.DOWNLOADING, Outcome.NOTHING),
        (DeviceState.STAGED, Outcome.NOTHING),
        (DeviceState.ACTIVATING, Outcome.BROKEN),
        (DeviceState.CONFIRMING, Outcome.BROKEN),
    ],
)
def test_silence_speaks_against_the_version_only_while_it_runs(stage, outcome):
    limits_s = {stage: 600.0}

    assert overdue(device(stage), limits_s, LATER - timedelta(seconds=1)) == device(stage)
    found = overdue(device(stage), limits_s, LATER)
    assert (found.state, found.reached, found.outcome) == (DeviceState.TIMED_OUT, stage, outcome)
    assert found.code == f"{stage}_took_too_long"
    assert overdue(found, dict.fromkeys(DeviceState, 0.0), LATER) is found


def test_who_is_offline_may_take_its_time():
    assert overdue(device(), {DeviceState.DOWNLOADING: 1.0}, LATER) == device()


def test_another_offer_makes_reports_on_the_one_before_say_nothing():
    again = offered_again(device(DeviceState.CONFIRMING), "newer", LATER)

    assert (again.generation, again.digest, again.state) == (4, "newer", DeviceState.OFFERED)
    late = report(DeviceState.SUCCEEDED, generation=3, digest="new")
    assert heard(again, late, LATER) is again


def test_who_is_offered_it_no_more_is_let_go_unless_it_came_to_an_end():
    gone = let_go(device(DeviceState.CONFIRMING), LATER)

    assert (gone.state, gone.since, gone.outcome) == (
        DeviceState.SUPERSEDED,
        LATER,
        Outcome.NOTHING,
    )
    ill = heard(device(), report(DeviceState.FAILED), LATER)
    assert let_go(ill, LATER + timedelta(hours=1)) is ill


@pytest.mark.parametrize("code", sorted(CIRCUMSTANCES))
def test_a_failure_by_circumstance_is_not_the_end(code: str):
    lacking = heard(device(), report(DeviceState.FAILED, code=code), LATER)

    for ignored in (
        report(DeviceState.FAILED, code=code),
        report(DeviceState.ROLLED_BACK),
        report(DeviceState.SUCCEEDED, digest="new"),
        report(DeviceState.STAGED),
    ):
        assert heard(lacking, ignored, LATER) is lacking
    again = heard(lacking, report(DeviceState.CONFIRMING), LATER)
    assert (again.state, again.code, again.outcome) == (DeviceState.CONFIRMING, "", None)
    broken = heard(lacking, report(DeviceState.FAILED, code="crashed"), LATER)
    assert broken.outcome is Outcome.BROKEN
    assert heard(broken, report(DeviceState.CONFIRMING), LATER) is broken
