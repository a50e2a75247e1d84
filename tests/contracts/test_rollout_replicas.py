"""Two control planes on one Postgres steer the same rollouts: no step is ever taken twice."""

import asyncio
from collections.abc import Sequence
from itertools import pairwise

import httpx
import pytest

from octomil.control.jobs.catalog import jobs_of
from octomil.control.jobs.rollouts import steer
from octomil.control.plane import ControlPlane
from octomil.control.records import Rollout
from octomil.control.services.offers import REFRESHED_S
from octomil.rollouts.states import Action, RolloutState, Transition
from support.control import WallClock, client_of, key_of
from support.rollouts import Who, act, assigned, attest, begun, device, published, shown
from support.versions import made_model

MODELS = 4
STEPS = [50.0, 100.0]


@pytest.fixture
def stepping() -> dict[str, object]:
    """A rollout that takes a step whenever somebody looks and all is well."""
    return {"rollout_percentage": 50, "increment_step": 50, "dwell_s": 1, "health_window_s": 0}


async def released(client: httpx.AsyncClient, name: str) -> str:
    model = await made_model(client, name)
    await published(client, model, "1.0.0")
    return model


def history(plane: ControlPlane, rollout_id: str) -> Sequence[Transition]:
    with plane.store.snapshot("default") as tx:
        return tx.rollouts.history(rollout_id, limit=99)


def of_id(plane: ControlPlane, rollout_id: str) -> Rollout:
    (found,) = (each for each in plane.orchestrator.steered() if each.id == rollout_id)
    return found


def require_chain(entries: Sequence[Transition]) -> None:
    """Every transition starts from where the one before it ended."""
    assert entries[0].before.revision == 0
    for earlier, later in pairwise(entries):
        assert later.before == earlier.after
        assert later.after.revision == earlier.after.revision + 1


async def test_of_two_that_decided_the_same_one_takes_the_step(
    replicas: list[ControlPlane], clock: WallClock, stepping: dict[str, object]
):
    one, other = replicas
    async with client_of(one, key_of(one)) as client:
        model = await released(client, "net")
        rollout = await begun(client, model, **stepping)
        whose = [await device(client, f"box-{n}") for n in range(40)]
        await _all_take(client, rollout, whose)
    clock.advance(seconds=1)
    present = of_id(one, rollout["id"])
    decided = [each.orchestrator.look(present) for each in replicas]
    assert decided[0] == decided[1] is not None

    taken = [
        one.orchestrator.take(present, decided[0]),
        other.orchestrator.take(present, decided[1]),
    ]

    assert taken == [True, False]
    entries = history(one, rollout["id"])
    assert [each.action for each in entries] == [Action.START, Action.ADVANCE]
    require_chain(entries)


async def test_replicas_that_steer_at_once_take_every_step_once(
    replicas: list[ControlPlane], clock: WallClock, stepping: dict[str, object]
):
    one = replicas[0]
    async with client_of(one, key_of(one)) as client:
        models = [await released(client, f"net-{n}") for n in range(MODELS)]
        rollouts = [await begun(client, each, **stepping) for each in models]
        whose = [await device(client, f"box-{n}") for n in range(40)]
        for _ in STEPS:
            for each in rollouts:
                await _all_take(client, each, whose)
            clock.advance(seconds=1)
            await asyncio.gather(*(steer(plane) for plane in replicas for _ in range(2)))

        states = [(await shown(client, each))["status"] for each in rollouts]

    assert states == [RolloutState.COMPLETED] * MODELS
    for each in rollouts:
        entries = history(one, each["id"])
        require_chain(entries)
        assert [entry.after.percentage for entry in entries] == [*STEPS, STEPS[-1]]
        assert entries[-1].action is Action.COMPLETE


async def test_a_pause_at_one_replica_reaches_the_polls_of_the_other(
    replicas: list[ControlPlane],
):
    one, other = replicas
    async with client_of(one, key_of(one)) as client, client_of(other, key_of(other)) as elsewhere:
        rollout = await begun(client, await released(client, "net"))
        who = await device(client)
        every_s, read_plans = jobs_of(other)["read plans"]
        await read_plans()
        before = await assigned(elsewhere, who)

        await act(client, rollout, "pause")
        await read_plans()
        after = await assigned(elsewhere, who, before["config_version"])

    assert [len(before["assignments"]), len(after["assignments"])] == [1, 0]
    assert after["updated"]
    assert every_s == REFRESHED_S <= 0.5


async def test_a_person_and_an_orchestrator_do_not_both_have_their_way(
    replicas: list[ControlPlane], clock: WallClock, stepping: dict[str, object]
):
    one, other = replicas
    async with client_of(one, key_of(one)) as client:
        rollout = await begun(client, await released(client, "net"), **stepping)
        whose = [await device(client, f"box-{n}") for n in range(40)]
        await _all_take(client, rollout, whose)
        clock.advance(seconds=1)
        present = of_id(other, rollout["id"])
        late = other.orchestrator.look(present)
        assert late is not None

        await act(client, rollout, "pause", reason="wait")

        assert not other.orchestrator.take(present, late)
        assert (await shown(client, rollout))["status"] == "paused"
    require_chain(history(one, rollout["id"]))


async def _all_take(
    client: httpx.AsyncClient, rollout: dict[str, object], whose: Sequence[Who]
) -> None:
    for who in whose:
        assert (await attest(client, who, rollout)).status_code == 200
