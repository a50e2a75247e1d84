"""A sample of `bench/orchestrators.py`, with its own seeds; and what it finds in broken code."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from bench.orchestrators import interleave
from bench.schedules import DEFAULT_ORGANISATION, Place, Schedule
from bench.stops import STOPS
from bench.turns import BEGUN
from sqlalchemy import update

from octomil.control.jobs.rollouts import Steering
from octomil.control.services import rollout_changes
from octomil.control.stores.rollouts import RolloutRows, rollout_transitions, rollouts
from octomil.rollouts.states import CONTROLLER, Action, Transition

SEEDS = range(1_000_000, 1_000_012)
FEW = range(1_000_000, 1_000_006)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    made = Place(tmp_path)
    yield made
    made.close()


def test_orchestrators_that_act_at_once_never_act_twice():
    found = interleave(SEEDS)

    assert found.wrong == []
    assert found.schedules == len(SEEDS)
    assert found.lost > 0, "no orchestrator was ever too late"
    assert found.refused > 0, "no command was ever refused"
    assert set(found.kills) <= {BEGUN, *STOPS}
    assert found.kills, "no orchestrator was ever killed"
    assert {"start", "widen", "advance", "pause"} <= set(found.taken)


def test_a_rollout_whose_file_is_lost_goes_no_further_by_itself(place: Place):
    taken = Counter[tuple[str, str]]()
    for seed in SEEDS:
        schedule = Schedule(place, seed)
        schedule.lost_at = 0
        schedule.run()
        assert schedule.found.wrong == []
        taken.update((each.actor, each.action) for each in schedule.history)

    assert taken[CONTROLLER, Action.FAIL] > 0
    assert not taken[CONTROLLER, Action.WIDEN] + taken[CONTROLLER, Action.ADVANCE]


def test_a_schedule_is_the_same_with_the_same_seed():
    assert interleave(FEW[:2]) == interleave(FEW[:2])


def test_a_store_that_does_not_compare_revisions_is_found_out(monkeypatch: pytest.MonkeyPatch):
    def change(self, rollout_id, revision, values):
        return changed_anyhow(self, rollout_id, values)

    monkeypatch.setattr(RolloutRows, "_change", change)

    assert any("IntegrityError" in each or "UNIQUE" in each for each in interleave(FEW).wrong)


def test_a_history_that_takes_whatever_comes_is_found_out(monkeypatch: pytest.MonkeyPatch):
    """Nothing refuses what comes too late, not even the history's key."""
    take = RolloutRows.take

    def take_anyhow(self, rollout_id, transition):
        revision = rollout_transitions.c.revision
        self._connection.execute(
            update(rollout_transitions)
            .where(rollout_transitions.c.rollout_id == rollout_id)
            .where(revision == transition.after.revision)
            .values(revision=1_000 + transition.after.revision)
        )
        return take(self, rollout_id, transition)

    monkeypatch.setattr(RolloutRows, "take", take_anyhow)
    monkeypatch.setattr(
        RolloutRows, "_change", lambda self, id_, _, values: changed_anyhow(self, id_, values)
    )

    assert any("starts from another progress" in each for each in interleave(FEW).wrong)


def test_a_wave_that_was_due_before_the_store_answered_is_found_out(
    monkeypatch: pytest.MonkeyPatch,
):
    """What was found before the store was asked is taken for what is found after that."""
    known: dict[Steering, Transition] = {}
    go_on = Steering._go_on

    async def go_on_blindly(self, turn):
        if (wave := known.pop(self, None)) is None and (wave := await go_on(self, turn)):
            known[self] = wave
        return wave

    monkeypatch.setattr(Steering, "_go_on", go_on_blindly)

    assert any("older than the store's answer" in each for each in interleave(FEW).wrong)


def test_a_change_without_its_act_is_found_out(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(rollout_changes, "note", lambda *_, **__: None)

    assert any("the audit has 0 changes" in each for each in interleave(FEW[:1]).wrong)


def test_a_share_that_is_not_the_last_change_is_found_out(place: Place):
    schedule = Schedule(place, FEW[0])
    with place.plane.store.transaction(DEFAULT_ORGANISATION) as tx:
        assert tx.rollouts._change(schedule.rollout.id, 1, {"base_percentage": 99.0})

    schedule.run()

    assert schedule.found.wrong


def changed_anyhow(rows: RolloutRows, rollout_id: str, values: dict[str, object]) -> bool:
    change = update(rollouts).where(rollouts.c.id == rollout_id).values(**values)
    return rows._connection.execute(change).rowcount == 1
