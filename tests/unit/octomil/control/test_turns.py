import asyncio

import pytest

from octomil.control.turns import Turns


async def test_of_two_at_one_name_the_second_waits_for_the_first():
    turns, told = Turns(), []

    async def second() -> None:
        async with turns.of("a"):
            told.append("second")

    async with turns.of("a"):
        waiting = asyncio.create_task(second())
        await asyncio.sleep(0)  # it begins
        assert turns.users("a") == 2
        told.append("first")
        async with turns.of("b"):
            assert turns.users("b") == 1
    await waiting

    assert told == ["first", "second"]


async def test_a_name_that_nobody_is_at_is_forgotten():
    turns = Turns()
    async with turns.of("a"):
        assert (turns.users("a"), turns.users("b")) == (1, 0)

    assert turns.users("a") == 0
    assert turns._turns == {}


async def test_who_waits_no_more_leaves_the_turn_to_the_others():
    turns = Turns()
    async with turns.of("a"):
        waiting = asyncio.create_task(turns.of("a").__aenter__())
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert turns.users("a") == 1

    assert turns.users("a") == 0
