import asyncio

import pytest

from octomil.batch import RequestQueue
from octomil.errors import QueueError, QueueFullError, QueueTimeoutError
from octomil.serve.turnstile import Turnstile

LONG_S, SHORT_S = 60.0, 0.05


def turnstile(*, timeout_s: float = LONG_S, max_depth: int = 32) -> Turnstile:
    queue = RequestQueue(max_depth, timeout_s)
    queue.start()
    return Turnstile(queue)


async def waiting(gate: Turnstile, waits: list[float]) -> asyncio.Task[None]:
    """Somebody who stands in the queue."""

    async def pass_through() -> None:
        async with gate.turn(waits.append):
            pass

    task = asyncio.create_task(pass_through())
    while not gate.queue.stats().pending:
        await asyncio.sleep(0)
    return task


async def test_who_is_let_through_at_once_waited_no_time_worth_telling():
    waits: list[float] = []

    async with turnstile().turn(waits.append):
        assert len(waits) == 1


async def test_wait_is_noted_when_the_turn_comes():
    gate, waits = turnstile(), []
    async with gate.turn([].append):
        task = await waiting(gate, waits)
        assert waits == []

    await task
    assert len(waits) == 1


async def test_wait_that_was_too_long_is_noted():
    gate, waits = turnstile(timeout_s=SHORT_S), []
    async with gate.turn([].append):
        with pytest.raises(QueueTimeoutError):
            await (await waiting(gate, waits))

    assert len(waits) == 1
    assert waits[0] > SHORT_S / 2


async def test_wait_of_who_gave_up_is_noted():
    gate, waits = turnstile(), []
    async with gate.turn([].append):
        task = await waiting(gate, waits)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    assert len(waits) == 1


async def test_wait_of_who_is_sent_away_at_the_end_is_noted():
    gate, waits = turnstile(), []
    async with gate.turn([].append):
        task = await waiting(gate, waits)
        stop = asyncio.create_task(gate.queue.stop())
        with pytest.raises(QueueError):
            await task

    await stop
    assert len(waits) == 1


async def test_who_finds_the_queue_full_never_stood_in_it():
    gate, waits = turnstile(max_depth=0), []
    async with gate.turn([].append):
        with pytest.raises(QueueFullError):
            await gate.turn(waits.append).__aenter__()

    assert waits == []
