"""What every store promises about rollouts, checked on SQLite and on a real Postgres server."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest

from octomil.control.stores.sql import SqlStore
from octomil.rollouts import commands
from octomil.rollouts.blocks import Ruling
from octomil.rollouts.controller import decide
from octomil.rollouts.evidence import Arm, Observation
from octomil.rollouts.plan import Plan
from octomil.rollouts.states import RolloutState, Transition
from support.rollout_rows import (
    BEFORE,
    DIGEST,
    NOW,
    at,
    attestation,
    model,
    rollout,
    signing_key,
    started,
    taken,
    version_of,
)


def test_what_is_added_is_read_back_as_it_was(fleet: SqlStore):
    made = rollout()
    with fleet.transaction("acme") as tx:
        assert tx.rollouts.next_ordinal("mdl_acme") == 1
        assert tx.rollouts.add(made)

    with fleet.snapshot("acme") as tx:
        assert tx.rollouts.get("mdl_acme", "rol_1") == made
        assert tx.rollouts.get("mdl_other", "rol_1") is None
        assert tx.rollouts.next_ordinal("mdl_acme") == 2


def test_nothing_is_seen_or_changed_by_another_organisation(fleet: SqlStore):
    made = rollout()
    with fleet.transaction("acme") as tx:
        tx.rollouts.add(made)
        tx.rollouts.take(made.id, started(made))
        tx.attestations.put(attestation(1))
        tx.rollout_devices.put(taken(1))
        tx.rulings.add(Ruling(digest=DIGEST, is_block=True, at=NOW, actor="a", reason="b"))
        present = tx.rollouts.get("mdl_acme", "rol_1")

    with fleet.transaction("globex") as tx:
        assert tx.rollouts.get("mdl_acme", "rol_1") is None
        assert tx.rollouts.next_ordinal("mdl_acme") == 1
        assert tx.rollouts.list("mdl_acme", None, limit=9) == []
        assert tx.rollouts.of_version("ver_1") == []
        assert tx.rollouts.of_model("mdl_acme") == []
        assert tx.rollouts.layers("mdl_acme") == []
        assert tx.rollouts.history("rol_1", limit=9) == []
        assert not tx.rollouts.take("rol_1", commands.pause(present.progress, now=NOW, actor="x"))
        assert not tx.rollouts.remove(present, NOW)
        assert tx.attestations.of_devices("mdl_acme", {"dev_acme_1"}) == {}
        assert tx.attestations.counts("mdl_acme", {DIGEST}) == {DIGEST: (0, 0)}
        assert tx.rollout_devices.get("rol_1", "dev_acme_1") is None
        assert tx.rollout_devices.page("rol_1", None, 9) == []
        assert tx.rollout_devices.tally("rol_1", NOW) == []
        assert tx.rollout_devices.silent("rol_1", NOW, limit=9) == []
        assert tx.rollout_devices.unfinished("rol_1", NOW, limit=9) == []
        assert tx.rollout_devices.on_the_way("rol_1", NOW - timedelta(days=1)) == 0
        assert tx.rulings.of(DIGEST) == []
        assert tx.devices.count() == len(tx.devices.ids()) == 2


def test_of_many_that_begin_one_at_once_one_does(fleet: SqlStore):
    def add(number: int) -> bool:
        with fleet.transaction("acme") as tx:
            return tx.rollouts.add(rollout(number))

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(add, range(8))) == 1


def test_a_transition_needs_what_it_starts_from(fleet: SqlStore):
    made = rollout()
    start = started(made)
    with fleet.transaction("acme") as tx:
        tx.rollouts.add(made)
        assert tx.rollouts.take(made.id, start)
        assert not tx.rollouts.take(made.id, start)

    with fleet.snapshot("acme") as tx:
        found = tx.rollouts.get("mdl_acme", "rol_1")
        assert (found.progress, found.started_at) == (start.after, NOW)
        assert tx.rollouts.history("rol_1", limit=9) == [start]
    with fleet.system_snapshot() as tx:
        assert tx.offers.numbers() == {"acme": 1}


def test_of_many_that_take_one_step_at_once_one_does(fleet: SqlStore):
    made = rollout()
    with fleet.transaction("acme") as tx:
        tx.rollouts.add(made)

    def take(_: int) -> bool:
        with fleet.transaction("acme") as tx:
            return tx.rollouts.take(made.id, started(made))

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(take, range(8))) == 1
    with fleet.snapshot("acme") as tx:
        assert len(tx.rollouts.history("rol_1", limit=9)) == 1


def test_the_history_keeps_who_when_why_and_by_what_evidence(fleet: SqlStore):
    made = rollout(plan=Plan(dwell_s=0))
    start = started(made)
    observation = Observation(fleet=9, candidate=Arm(devices=4, failed=3))
    breach = decide(made.plan, start.after, observation, NOW + timedelta(hours=1))
    assert isinstance(breach, Transition)
    with fleet.transaction("acme") as tx:
        tx.rollouts.add(made)
        assert tx.rollouts.take(made.id, start)
        assert tx.rollouts.take(made.id, breach)

    with fleet.snapshot("acme") as tx:
        assert tx.rollouts.history("rol_1", limit=9) == [start, breach]
        assert tx.rollouts.history("rol_1", limit=1, offset=1) == [breach]
        assert tx.rollouts.layers("mdl_acme") == []
    assert breach.judgement is not None


def test_a_model_has_one_open_rollout_and_any_number_that_are_over(fleet: SqlStore):
    over = at(RolloutState.COMPLETED, 100)
    with fleet.transaction("acme") as tx:
        for number in (1, 2, 3):
            assert tx.rollouts.add(rollout(number, progress=over, completed_at=NOW))
        assert tx.rollouts.add(rollout(4))
        assert not tx.rollouts.add(rollout(5))

    with fleet.snapshot("acme") as tx:
        found = tx.rollouts.list("mdl_acme", None, limit=9)
        assert [each.id for each in found] == ["rol_4", "rol_3", "rol_2", "rol_1"]
        (second,) = tx.rollouts.list("mdl_acme", None, limit=1, offset=1)
        assert second.id == "rol_3"
        assert tx.rollouts.list("mdl_acme", RolloutState.ACTIVE, limit=9) == []
        assert [each.id for each in tx.rollouts.of_model("mdl_acme")] == ["rol_3", "rol_4"]
        assert tx.rollouts.of_version("ver_1") == []


@pytest.mark.parametrize(
    ("standing", "expected"),
    [
        ({1: (RolloutState.COMPLETED, 100), 2: (RolloutState.ACTIVE, 5)}, [2, 1]),
        ({1: (RolloutState.COMPLETED, 100), 2: (RolloutState.ACTIVE, 100)}, [2]),
        ({1: (RolloutState.COMPLETED, 100), 2: (RolloutState.PAUSED, 5)}, [2, 1]),
        ({1: (RolloutState.COMPLETED, 100), 2: (RolloutState.ROLLED_BACK, 100)}, [1]),
        ({1: (RolloutState.COMPLETED, 100), 2: (RolloutState.FAILED, 100)}, [1]),
        ({1: (RolloutState.COMPLETED, 50), 2: (RolloutState.COMPLETED, 20)}, [2, 1]),
        (
            {
                1: (RolloutState.COMPLETED, 100),
                2: (RolloutState.COMPLETED, 100),
                3: (RolloutState.COMPLETED, 50),
                4: (RolloutState.PENDING, 0),
            },
            [3, 2],
        ),
    ],
)
def test_layers_reach_down_to_the_last_for_all_devices(
    fleet: SqlStore, standing: dict[int, tuple[RolloutState, float]], expected: list[int]
):
    with fleet.transaction("acme") as tx:
        for number, (state, share) in standing.items():
            assert tx.rollouts.add(rollout(number, progress=at(state, share)))
        other = rollout(9, model_id="mdl_2", ordinal=1, progress=at(RolloutState.COMPLETED, 100))
        assert tx.rollouts.add(other)

    with fleet.snapshot("acme") as tx:
        assert [each.ordinal for each in tx.rollouts.layers("mdl_acme")] == expected
        assert [each.id for each in tx.rollouts.layers("mdl_2")] == ["rol_9"]


def test_what_a_rollback_returns_to_is_needed_and_what_was_removed_is_not_returned_to(
    fleet: SqlStore,
):
    with fleet.transaction("acme") as tx:
        assert tx.models.add(model("acme", "mnist"))
        for number in (1, 2, 3):
            made = rollout(number, model_id="mdl_acme_mnist")
            assert tx.versions.add(version_of(made))
            assert tx.rollouts.add(replace(made, progress=at(RolloutState.COMPLETED, 100)))

        def needed() -> list[str]:
            of_versions = (tx.rollouts.of_version(f"ver_{number}") for number in (1, 2, 3))
            return [each.id for found in of_versions for each in found]

        assert needed() == ["rol_2", "rol_3"]
        tx.versions.delete("ver_2", NOW)
        assert needed() == ["rol_1", "rol_3"]
        assert tx.rollouts.remove(tx.rollouts.get("mdl_acme_mnist", "rol_3"), NOW)
        assert [each.id for each in tx.rollouts.layers("mdl_acme_mnist")] == ["rol_1"]
        assert needed() == ["rol_1"]


def test_it_tells_the_keys_of_all_and_what_some_organisations_run(fleet: SqlStore):
    keys = {owner: signing_key(owner) for owner in ("acme", "globex")}
    for owner, key in keys.items():
        with fleet.transaction(owner) as tx:
            assert tx.manifest_keys.add(key)
            for name in ("mnist", "other"):
                tx.models.add(model(owner, name))
    with fleet.transaction("acme") as tx:
        for number, (name, share) in enumerate([("mnist", 100), ("mnist", 5), ("other", 5)], 1):
            made = rollout(number, model_id=f"mdl_acme_{name}")
            state = RolloutState.ACTIVE if share == 5 else RolloutState.COMPLETED
            tx.rollouts.add(replace(made, progress=at(state, share)))
        following = signing_key("acme", 2)
        assert tx.manifest_keys.retire(keys["acme"].id, NOW)
        assert tx.manifest_keys.add(following)

    many = {f"org_{number}" for number in range(2000)}
    with fleet.system_snapshot() as tx:
        assert tx.offers.keys() == {"acme": following}
        told = tx.offers.layers({"acme"})
        assert tx.offers.layers({"acme"} | many) == told
        assert tx.offers.layers({"globex"} | many) == tx.offers.layers({"globex"}) == []
    assert [(each.id, name) for each, name in told] == [
        ("rol_2", "mnist"), ("rol_1", "mnist"), ("rol_3", "other"),
    ]  # fmt: skip


def test_what_is_deleted_is_shown_no_more_and_still_counts(fleet: SqlStore):
    made = rollout(progress=at(RolloutState.COMPLETED, 100))
    with fleet.transaction("acme") as tx:
        tx.rollouts.add(made)
        assert tx.rollouts.remove(made, NOW)
        assert not tx.rollouts.remove(made, NOW)
        assert tx.rollouts.get("mdl_acme", "rol_1") is None
        assert tx.rollouts.layers("mdl_acme") == []
        assert tx.rollouts.next_ordinal("mdl_acme") == 2

    with fleet.system_snapshot() as tx:
        assert tx.offers.numbers() == {"acme": 3}
        assert tx.offers.steered() == []


def test_those_under_way_are_found_whoever_they_belong_to(fleet: SqlStore):
    states = (RolloutState.ACTIVE, RolloutState.PAUSED, RolloutState.PENDING)
    for number, state in enumerate(states, 1):
        owner = "globex" if number == 1 else "acme"
        with fleet.transaction(owner) as tx:
            made = rollout(number, owner, model_id=f"m{number}", progress=at(state, 1))
            assert tx.rollouts.add(made)

    with fleet.system_snapshot() as tx:
        assert [each.id for each in tx.offers.steered()] == ["rol_1", "rol_2"]


def test_rulings_on_a_version_keep_their_order(fleet: SqlStore):
    made = [
        Ruling(digest=DIGEST, is_block=number % 2 == 0, at=NOW, actor="ann", reason=str(number))
        for number in range(3)
    ]
    with fleet.transaction("acme") as tx:
        assert all(tx.rulings.add(each) for each in made)
        assert tx.rulings.add(replace(made[0], digest=BEFORE))

    with fleet.snapshot("acme") as tx:
        assert tx.rulings.of(DIGEST) == made
