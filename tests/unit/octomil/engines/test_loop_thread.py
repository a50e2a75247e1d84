"""Work in a loop on a thread of its own, asked from threads and from other loops."""

import asyncio
import gc
import threading
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing

import pytest

from octomil.engines.loop_thread import LoopThread
from octomil.errors import EngineUnavailableError
from support.waiting import PATIENCE_S


async def nothing() -> None:
    """No last work."""


@pytest.fixture
def there() -> Iterator[LoopThread]:
    thread = LoopThread("test")
    yield thread
    thread.close(nothing())


class Counter:
    """Counts until it is closed, or to an end."""

    def __init__(self, end: int | None = None) -> None:
        self.end = end
        self.closed = threading.Event()

    async def count(self) -> AsyncGenerator[int, None]:
        number = 0
        try:
            while number != self.end:
                yield number
                number += 1
                await asyncio.sleep(0)
        finally:
            self.closed.set()


def test_work_gives_its_result_or_its_error(there: LoopThread):
    async def work(value: int) -> int:
        return 10 // value

    assert there.run(work(2)) == 5
    with pytest.raises(ZeroDivisionError):
        there.run(work(0))


async def test_pieces_come_in_order_and_all(there: LoopThread):
    counter = Counter(1000)

    assert [number async for number in there.iterate(counter.count())] == list(range(1000))
    assert counter.closed.is_set()


async def test_closing_ends_the_generator_before_it_returns(there: LoopThread):
    counter = Counter()
    async with aclosing(there.iterate(counter.count())) as numbers:
        assert await anext(numbers) == 0

    assert counter.closed.is_set()


async def test_leaving_the_loop_ends_the_generator(there: LoopThread):
    counter = Counter()
    async for _ in there.iterate(counter.count()):
        break
    gc.collect()

    assert await asyncio.to_thread(counter.closed.wait, PATIENCE_S)


async def test_cancelling_who_waits_ends_the_generator(there: LoopThread):
    counter, begun = Counter(), asyncio.Event()

    async def read() -> None:
        async for _ in there.iterate(counter.count()):
            begun.set()

    task = asyncio.create_task(read())
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert counter.closed.is_set()


async def test_errors_come_after_what_came_before(there: LoopThread):
    async def fail() -> AsyncGenerator[int, None]:
        yield 1
        raise LookupError("lost")

    numbers = there.iterate(fail())

    assert await anext(numbers) == 1
    with pytest.raises(LookupError, match="lost"):
        await anext(numbers)


async def test_a_closed_loop_takes_nothing():
    there, counter = LoopThread("test"), Counter()
    there.close(nothing())
    there.close(nothing())

    with pytest.raises(EngineUnavailableError, match="disposed"):
        there.run(nothing())
    with pytest.raises(EngineUnavailableError, match="disposed"):
        await anext(there.iterate(counter.count()))


async def test_closing_the_loop_ends_who_reads_from_it():
    there, counter = LoopThread("test"), Counter()
    numbers = there.iterate(counter.count())
    assert await anext(numbers) == 0

    await asyncio.to_thread(there.close, nothing())
    with pytest.raises(asyncio.CancelledError):
        async for _ in numbers:
            pass

    assert counter.closed.is_set()
