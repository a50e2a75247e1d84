"""Which polls wait, for how long, and what ends them; in virtual time."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from threading import Thread

import pytest

from octomil.control.services.assignments import FleetPlan, Layer, ModelLayers, PlanKey, Plans
from octomil.control.services.long_polls import LongPolls
from octomil.registry.signatures import Signer, new_private_key
from octomil.rollouts.buckets import PLACES, place_behind
from support.virtual_time import in_virtual_time

KEY = PlanKey(id="ab" * 8, signer=Signer(new_private_key()))
DEVICES = [f"dev_{number}" for number in range(200)]
WAIT_S = 60.0


def plan(number: int, *layers: tuple[str, int]) -> FleetPlan:
    """A plan whose layers are versions, and the places below which they are offered."""
    made = [
        Layer(salt=b"x", limit=limit, version=version, digest=f"sha256:{version}")
        for version, limit in layers
    ]
    return FleetPlan(
        number=number, models=[ModelLayers(model_id="m", name="m", layers=made)], key=KEY
    )


def included(limit: int) -> set[str]:
    return {each for each in DEVICES if place_behind(b"x", each.encode()) < limit}


async def never() -> None:
    await asyncio.get_running_loop().create_future()


async def at_once() -> None:
    pass


async def now() -> float:
    return asyncio.get_running_loop().time()


class Fleet:
    """Polls of devices that know the plan of a number."""

    def __init__(self, plans: Mapping[str, FleetPlan], most: int = 1_000) -> None:
        self.plans = Plans()
        self.plans.replace(plans)
        self.polls = LongPolls(self.plans, most)
        self.answered: dict[str, tuple[bool, float]] = {}

    async def poll(self, device: str, known: int | None, owner: str = "acme", gone=never) -> None:
        is_there = await self.polls.wait(owner, device, known, WAIT_S, gone)
        self.answered[device] = is_there, await now()

    async def settle(self) -> None:
        """Let everything happen that can without time passing."""
        for _ in range(2 * len(DEVICES)):
            await asyncio.sleep(0)


@in_virtual_time
async def test_without_news_a_poll_waits_to_the_end_of_its_wait():
    fleet = Fleet({"acme": plan(3, ("1.0.0", PLACES))})

    await fleet.poll("dev_1", 3)

    assert fleet.answered == {"dev_1": (True, WAIT_S)}
    assert fleet.polls.counts() == {"held": 0, "turned_away": 0}


@pytest.mark.parametrize(("limit", "known"), [(PLACES, None), (PLACES, 0), (PLACES, 2), (0, 2)])
def test_news_is_told_at_once(limit: int, known: int | None):
    @in_virtual_time
    async def test() -> None:
        fleet = Fleet({"acme": plan(3, ("1.0.0", limit))})
        await fleet.poll("dev_1", known)
        assert fleet.answered == {"dev_1": (True, 0.0)}

    test()


@pytest.mark.parametrize("known", [None, 0])
def test_to_run_nothing_is_no_news_to_who_knows_of_nothing(known: int | None):
    @in_virtual_time
    async def test() -> None:
        fleet = Fleet({"acme": plan(3, ("1.0.0", 0))})
        await fleet.poll("dev_1", known)
        assert fleet.answered == {"dev_1": (True, WAIT_S)}

    test()


@in_virtual_time
async def test_a_change_ends_the_polls_of_those_it_concerns_and_no_other():
    half = PLACES // 2
    fleet = Fleet({"acme": plan(3, ("1.0.0", PLACES)), "globex": plan(7)})
    async with asyncio.TaskGroup() as group:
        for device in DEVICES:
            group.create_task(fleet.poll(device, 3))
        group.create_task(fleet.poll("another", 7, "globex"))
        await asyncio.sleep(5)
        fleet.plans.replace(
            {"acme": plan(4, ("2.0.0", half), ("1.0.0", PLACES)), "globex": plan(7)}
        )
        await fleet.settle()
        assert fleet.answered == dict.fromkeys(included(half), (True, 5.0))
        assert 0 < len(fleet.answered) < len(DEVICES)

        fleet.plans.replace({"acme": plan(5, ("2.0.0", PLACES)), "globex": plan(7)})
        await fleet.settle()
        assert set(fleet.answered) == set(DEVICES)

    assert fleet.answered["another"] == (True, WAIT_S)


@in_virtual_time
async def test_what_is_taken_back_or_signed_by_another_key_ends_a_wait():
    one = plan(3, ("1.0.0", PLACES))
    other_key = PlanKey(id="cd" * 8, signer=Signer(new_private_key()))
    for following in (plan(4), replace(one, number=4, key=other_key)):
        fleet = Fleet({"acme": one})
        async with asyncio.TaskGroup() as group:
            group.create_task(fleet.poll("dev_1", 3))
            await fleet.settle()
            fleet.plans.replace({"acme": following})
            await fleet.settle()
            assert list(fleet.answered) == ["dev_1"]


@in_virtual_time
async def test_a_replica_that_lags_behind_a_device_has_nothing_to_tell_it():
    fleet = Fleet({"acme": plan(3, ("1.0.0", PLACES))})
    async with asyncio.TaskGroup() as group:
        group.create_task(fleet.poll("dev_1", 4))
        await fleet.settle()
        fleet.plans.replace({"acme": plan(4, ("2.0.0", PLACES))})  # as the device knows already
        await fleet.settle()
        assert not fleet.answered
        fleet.plans.replace({"acme": plan(5, ("3.0.0", PLACES))})
        await fleet.settle()
        assert list(fleet.answered) == ["dev_1"]


@in_virtual_time
async def test_a_change_in_another_thread_is_heard():
    fleet = Fleet({"acme": plan(3)})
    async with asyncio.TaskGroup() as group:
        group.create_task(fleet.poll("dev_1", 3))
        await fleet.settle()
        other = Thread(target=fleet.plans.replace, args=({"acme": plan(4, ("1.0.0", PLACES))},))
        other.start()
        other.join()
        await fleet.settle()
        assert list(fleet.answered) == ["dev_1"]


@in_virtual_time
async def test_who_comes_when_too_many_wait_is_answered_at_once_and_counted():
    fleet = Fleet({"acme": plan(3)}, most=2)
    async with asyncio.TaskGroup() as group:
        for device in DEVICES[:5]:
            group.create_task(fleet.poll(device, 3))
        await fleet.settle()
        assert set(fleet.answered) == set(DEVICES[2:5])
        assert fleet.polls.counts() == {"held": 2, "turned_away": 3}

    assert fleet.polls.counts() == {"held": 0, "turned_away": 3}


@in_virtual_time
async def test_a_client_that_hung_up_is_forgotten_at_once():
    fleet = Fleet({"acme": plan(3)})

    await fleet.poll("dev_1", 3, gone=at_once)

    assert fleet.answered == {"dev_1": (False, 0.0)}
    assert len(fleet.polls) == 0


@in_virtual_time
async def test_a_poll_that_is_cancelled_is_forgotten():
    fleet = Fleet({"acme": plan(3)})
    poll = asyncio.create_task(fleet.poll("dev_1", 3))
    await fleet.settle()
    assert len(fleet.polls) == 1

    poll.cancel()
    await fleet.settle()

    assert poll.cancelled()
    assert len(fleet.polls) == 0


@in_virtual_time
async def test_a_device_waits_once():
    fleet = Fleet({"acme": plan(3)})
    async with asyncio.TaskGroup() as group:
        first = group.create_task(fleet.poll("dev_1", 3))
        await fleet.settle()
        second = group.create_task(fleet.poll("dev_1", 3))
        await fleet.settle()
        assert [first.done(), second.done()] == [True, False]
        assert len(fleet.polls) == 1


@in_virtual_time
async def test_once_closed_nobody_waits():
    fleet = Fleet({"acme": plan(3)})
    async with asyncio.TaskGroup() as group:
        group.create_task(fleet.poll("dev_1", 3))
        await fleet.settle()
        fleet.polls.close()
        group.create_task(fleet.poll("dev_2", 3))

    assert fleet.answered == {"dev_1": (True, 0.0), "dev_2": (True, 0.0)}
    assert fleet.polls.counts() == {"held": 0, "turned_away": 0}


@in_virtual_time
async def test_after_the_last_poll_a_change_concerns_nobody():
    fleet = Fleet({"acme": plan(3)})
    await fleet.poll("dev_1", 3)

    fleet.plans.replace({"acme": plan(4, ("1.0.0", PLACES))})
    await fleet.poll("dev_1", 3)

    assert fleet.answered == {"dev_1": (True, WAIT_S)}
