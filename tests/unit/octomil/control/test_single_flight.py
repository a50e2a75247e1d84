import asyncio

import pytest

from octomil.control.single_flight import SingleFlight


class Call:
    """A call that ends when it is told to."""

    def __init__(self, error: Exception | None = None) -> None:
        self.begun = 0
        self.may_end = asyncio.Event()
        self._error = error

    async def __call__(self) -> None:
        self.begun += 1
        await self.may_end.wait()
        if self._error is not None:
            raise self._error


async def joined(flight: SingleFlight, call: Call, number: int) -> list["asyncio.Task[None]"]:
    """So many who wait for a call that has begun."""
    waiting = [asyncio.create_task(flight.join(call)) for _ in range(number)]
    while not call.begun:
        await asyncio.sleep(0)
    return waiting


async def test_those_who_come_meanwhile_wait_for_the_same_call():
    flight, call = SingleFlight(), Call()
    waiting = await joined(flight, call, 3)
    call.may_end.set()
    await asyncio.gather(*waiting)
    assert call.begun == 1

    await flight.join(call)
    assert call.begun == 2


async def test_all_who_wait_hear_what_went_wrong_and_the_next_call_is_another():
    flight, call = SingleFlight(), Call(ValueError("no"))
    waiting = await joined(flight, call, 2)
    call.may_end.set()

    heard = await asyncio.gather(*waiting, return_exceptions=True)

    assert [str(each) for each in heard] == ["no", "no"]
    with pytest.raises(ValueError, match="no"):
        await flight.join(call)
    assert call.begun == 2


async def test_who_goes_away_leaves_the_call_to_the_others():
    flight, call = SingleFlight(), Call()
    first, second = await joined(flight, call, 2)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    call.may_end.set()

    await second

    assert call.begun == 1
