"""A sample of `bench/orchestrator_crashes.py`: each point once, in one folder."""

import random
from pathlib import Path

import pytest
from bench.dying import function_at
from bench.orchestrator_crashes import SEED, die, found_wrong, histories
from bench.orchestrator_process import (
    ANY_STATEMENT,
    DEFAULT_ORGANISATION,
    MODEL,
    POINTS,
    RANDOM,
    Life,
    file_of,
)


def test_killed_at_each_point_it_violates_no_transition(tmp_path: Path):
    chance = random.Random(SEED)

    for point in (*POINTS, ANY_STATEMENT):
        die(tmp_path, point, chance)
        assert found_wrong(tmp_path) == [], point

    actions = {each.action.value for each in histories(tmp_path)}
    assert {"start", "widen", "advance", "roll_back", "fail"} <= actions


def test_a_change_that_is_half_there_is_found(tmp_path: Path):
    life = Life(tmp_path, random.Random(1))
    life.go_on(8)
    with life.plane.store.transaction(DEFAULT_ORGANISATION) as tx:
        rollout = tx.rollouts.list(MODEL, None, limit=1)[0]
        revision = rollout.progress.revision
        assert tx.rollouts._change(rollout.id, revision, {"revision": revision + 1})
    life.plane.close()

    assert [each for each in found_wrong(tmp_path) if "history ends" in each]


def test_a_file_that_nobody_took_away_is_missed(tmp_path: Path):
    life = Life(tmp_path, random.Random(1))
    life.go_on(1)
    with life.plane.store.snapshot(DEFAULT_ORGANISATION) as tx:
        (rollout,) = tx.rollouts.list(MODEL, None, limit=2)
    life.plane.blobs.delete(file_of(life.plane, rollout).digest)
    life.plane.close()

    (wrong,) = found_wrong(tmp_path)

    assert "its file is gone" in wrong


@pytest.mark.parametrize("name", [*POINTS, *RANDOM])
def test_points_are_there(name: str):
    owner, attribute = function_at((POINTS | RANDOM)[name].target)
    assert callable(getattr(owner, attribute))
