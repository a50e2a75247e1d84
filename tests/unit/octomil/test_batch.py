"""`RequestQueue` in virtual time: its timeouts pass at once and in their exact order."""

import asyncio
import gc
from contextlib import aclosing

import pytest

from octomil.batch import QueueFullError, QueueTimeoutError, RequestQueue
from octomil.errors import ConfigurationError, OctomilError, QueueError
from support.virtual_time import in_virtual_time

STOPPED = "the queue was stopped before"


class Engine:
    """Works for as long as it is told, and keeps a diary."""

    def __init__(self) -> None:
        self.started: list[str] = []
        self.active = self.most_active = 0

    async def generate(self, request: tuple[str, float]) -> str:
        name, seconds = request
        self._enter(name)
        try:
            await asyncio.sleep(seconds)
        finally:
            self.active -= 1
        return name.upper()

    async def stream(self, request: tuple[str, float]):
        name, seconds = request
        self._enter(name)
        try:
            for letter in name:
                await asyncio.sleep(seconds)
                yield letter
        finally:
            self.active -= 1

    def _enter(self, name: str) -> None:
        self.started.append(name)
        self.active += 1
        self.most_active = max(self.most_active, self.active)


def started(**options) -> RequestQueue:
    queue = RequestQueue(**options)
    queue.start()
    return queue


def submit(queue: RequestQueue, engine: Engine, name: str, seconds: float = 1.0) -> asyncio.Task:
    return asyncio.create_task(queue.submit_generate((name, seconds), generate_fn=engine.generate))


async def outcomes(*tasks: asyncio.Task) -> list[object]:
    return await asyncio.gather(*tasks, return_exceptions=True)


def counts(queue: RequestQueue) -> tuple[int, int, int, int, int]:
    stats = queue.stats()
    return stats.pending, stats.active, stats.completed, stats.rejected, stats.timed_out


def test_defaults_are_the_documented_ones():
    stats = RequestQueue().stats()

    assert (stats.max_depth, stats.max_concurrency, RequestQueue().timeout) == (32, 1, 60.0)


@in_virtual_time
async def test_requests_run_one_at_a_time_in_the_order_they_came():
    queue, engine = started(), Engine()

    tasks = [submit(queue, engine, name) for name in "abcd"]

    assert await outcomes(*tasks) == ["A", "B", "C", "D"]
    assert (engine.started, engine.most_active) == (list("abcd"), 1)
    assert counts(queue) == (0, 0, 4, 0, 0)


@in_virtual_time
async def test_as_many_run_at_once_as_the_engine_has_slots():
    queue, engine = started(max_concurrency=2), Engine()

    await outcomes(*(submit(queue, engine, name) for name in "abcde"))

    assert (engine.started, engine.most_active) == (list("abcde"), 2)
    assert asyncio.get_running_loop().time() == 3.0


@in_virtual_time
async def test_statistics_tell_who_waits_and_who_runs():
    queue, engine = started(max_depth=5), Engine()
    tasks = [submit(queue, engine, name) for name in "abc"]

    await asyncio.sleep(0)

    assert (queue.stats().pending, queue.stats().active, queue.stats().max_depth) == (2, 1, 5)
    await outcomes(*tasks)


@in_virtual_time
async def test_full_queue_rejects_before_the_engine_is_called():
    queue, engine = started(max_depth=1), Engine()

    a, b, c = await outcomes(*(submit(queue, engine, name) for name in "abc"))

    assert (a, b) == ("A", "B")
    assert isinstance(c, QueueFullError)
    assert str(c) == "1 requests are waiting already; try again later"
    assert engine.started == ["a", "b"]
    assert queue.stats().rejected == 1


@in_virtual_time
async def test_depth_zero_serves_but_never_lets_wait():
    queue, engine = started(max_depth=0), Engine()

    a, b = await outcomes(submit(queue, engine, "a"), submit(queue, engine, "b"))

    assert a == "A"
    assert isinstance(b, QueueFullError)


@in_virtual_time
async def test_request_that_waits_too_long_is_never_started():
    queue, engine = started(timeout=2.0), Engine()

    a, b, c = await outcomes(
        submit(queue, engine, "a", 5.0), submit(queue, engine, "b"), submit(queue, engine, "c")
    )

    assert a == "A"
    assert isinstance(b, QueueTimeoutError)
    assert isinstance(c, TimeoutError)
    assert engine.started == ["a"]
    assert counts(queue) == (0, 0, 1, 0, 2)


@in_virtual_time
async def test_timeout_never_fails_a_request_that_runs():
    queue, engine = started(timeout=0.001), Engine()

    assert await submit(queue, engine, "a", 3600.0) == "A"


@in_virtual_time
async def test_cancelled_while_waiting_leaves_its_place_to_the_next():
    queue, engine = started(), Engine()
    a, b, c = (submit(queue, engine, name) for name in "abc")
    await asyncio.sleep(0)

    b.cancel()
    await outcomes(b)

    assert queue.stats().pending == 1
    assert await outcomes(a, c) == ["A", "C"]
    assert engine.started == ["a", "c"]


@in_virtual_time
async def test_cancelled_while_running_ends_its_turn():
    queue, engine = started(), Engine()
    a, b = submit(queue, engine, "a", 100.0), submit(queue, engine, "b")
    await asyncio.sleep(1)

    a.cancel()

    assert await b == "B"
    assert asyncio.get_running_loop().time() == 2.0
    assert counts(queue) == (0, 0, 2, 0, 0)


@in_virtual_time
async def test_turn_granted_to_somebody_just_cancelled_passes_on():
    queue, engine = started(), Engine()
    await queue.acquire()
    b, c = submit(queue, engine, "b"), submit(queue, engine, "c")
    await asyncio.sleep(0)

    queue.release()  # grants the turn to b, which does not know yet
    b.cancel()

    assert await c == "C"
    assert b.cancelled()
    assert (engine.started, engine.most_active) == (["c"], 1)
    assert queue.stats().active == 0


@in_virtual_time
async def test_cancelled_at_the_moment_of_its_timeout_gives_no_turn_back_that_it_never_had():
    queue, engine = started(timeout=2.0), Engine()
    a, b = submit(queue, engine, "a", 3.0), submit(queue, engine, "b")
    await asyncio.sleep(0)

    asyncio.get_running_loop().call_at(2.0, b.cancel)
    await outcomes(b)

    assert queue.stats().active == 1
    assert [await c for c in (submit(queue, engine, "c", 0.0), a)] == ["C", "A"]
    assert engine.most_active == 1


@in_virtual_time
async def test_error_of_the_engine_reaches_its_caller_and_ends_the_turn():
    queue, engine = started(), Engine()

    async def fail(request: str) -> str:
        raise ValueError(request)

    with pytest.raises(ValueError, match="no good"):
        await queue.submit_generate("no good", generate_fn=fail)

    assert await submit(queue, engine, "a") == "A"


@in_virtual_time
async def test_plain_function_will_do():
    assert await started().submit_generate(21, generate_fn=lambda x: 2 * x) == 42


@in_virtual_time
async def test_stream_has_its_turn_until_its_last_chunk():
    queue, engine = started(), Engine()

    async def read(name: str) -> list[str]:
        chunks = queue.submit_generate_stream((name, 1.0), generate_stream_fn=engine.stream)
        return [chunk async for chunk in chunks]

    first, second = await asyncio.gather(read("abc"), read("de"))

    assert (first, second, engine.most_active) == (["a", "b", "c"], ["d", "e"], 1)
    assert counts(queue) == (0, 0, 2, 0, 0)


@in_virtual_time
async def test_stream_closed_by_its_reader_stops_the_engine_and_ends_the_turn():
    queue, engine = started(), Engine()

    chunks = queue.submit_generate_stream(("abc", 1.0), generate_stream_fn=engine.stream)
    async with aclosing(chunks):
        assert await anext(chunks) == "a"

    assert (engine.active, queue.stats().active) == (0, 0)


@in_virtual_time
async def test_abandoned_stream_ends_the_turn_as_well():
    queue, engine = started(), Engine()
    chunks = queue.submit_generate_stream(("abc", 1.0), generate_stream_fn=engine.stream)
    await anext(chunks)

    del chunks
    gc.collect()

    assert await submit(queue, engine, "next") == "NEXT"
    assert engine.most_active == 1


@in_virtual_time
async def test_stream_that_fails_ends_the_turn():
    queue = started()

    async def broken(request: str):
        yield request
        raise ValueError("out of paper")

    with pytest.raises(ValueError, match="out of paper"):
        _ = [chunk async for chunk in queue.submit_generate_stream("x", broken)]

    assert queue.stats().active == 0


@in_virtual_time
async def test_stop_fails_who_waits_and_returns_when_the_running_have_left():
    queue, engine = started(), Engine()
    a, b, c = (submit(queue, engine, name) for name in "abc")
    await asyncio.sleep(0)

    await queue.stop()

    assert asyncio.get_running_loop().time() == 1.0
    assert await a == "A"
    for task in (b, c):
        with pytest.raises(QueueError, match=STOPPED):
            await task
    assert counts(queue) == (0, 0, 1, 0, 0)


@in_virtual_time
async def test_stop_ends_a_stream_that_nobody_reads_any_more():
    queue, engine = started(timeout=1e9), Engine()
    stream = queue.submit_generate_stream(("abc", 1.0), generate_stream_fn=engine.stream)
    async for _ in stream:
        break  # and keep a reference, so that nothing else closes it

    await queue.stop(grace_s=5.0)

    assert (engine.active, *counts(queue)) == (0, 0, 0, 1, 0, 0)
    assert asyncio.get_running_loop().time() >= 5.0
    with pytest.raises(QueueError, match="stopped while nobody read"):
        await anext(stream)
    assert queue.stats().completed == 1
    queue.start()
    assert await submit(queue, engine, "next") == "NEXT"


@in_virtual_time
async def test_stop_ends_an_unread_stream_whose_reader_never_comes_back():
    queue, engine = started(), Engine()
    stream = queue.submit_generate_stream(("abc", 1.0), generate_stream_fn=engine.stream)
    await anext(stream)

    await queue.stop()
    await stream.aclose()

    assert (engine.active, *counts(queue)) == (0, 0, 0, 1, 0, 0)


@in_virtual_time
async def test_stop_waits_for_a_stream_that_is_read_however_slow_the_engine_is():
    queue, engine = started(), Engine()

    async def read() -> str:
        stream = queue.submit_generate_stream(("abc", 60.0), generate_stream_fn=engine.stream)
        return "".join([letter async for letter in stream])

    reader = asyncio.create_task(read())
    await asyncio.sleep(1.0)

    await queue.stop(grace_s=5.0)

    assert await reader == "abc"


@in_virtual_time
async def test_stop_waits_for_a_reader_that_comes_back_within_the_grace():
    queue, engine = started(), Engine()

    async def read() -> str:
        letters = ""
        async for letter in queue.submit_generate_stream(("abcde", 1.0), engine.stream):
            letters += letter
            await asyncio.sleep(4.0)
        return letters

    reader = asyncio.create_task(read())
    await asyncio.sleep(1.5)

    await queue.stop(grace_s=5.0)

    assert await reader == "abcde"


@in_virtual_time
async def test_stop_within_ones_own_stream_ends_that_stream():
    queue, engine = started(), Engine()

    async def read() -> None:
        async for _ in queue.submit_generate_stream(("abc", 1.0), engine.stream):
            await queue.stop(grace_s=1.0)

    with pytest.raises(QueueError, match="stopped while nobody read"):
        await read()

    assert (engine.active, *counts(queue)) == (0, 0, 0, 1, 0, 0)


@in_virtual_time
async def test_stop_ends_a_stream_that_cannot_be_closed():
    class Endless:
        def __aiter__(self):
            return self

        async def __anext__(self):
            return 1

    queue = started()
    stream = queue.submit_generate_stream(1, generate_stream_fn=lambda _: Endless())
    await anext(stream)

    await queue.stop()

    assert counts(queue) == (0, 0, 1, 0, 0)


@in_virtual_time
async def test_stopping_twice_at_once_ends_each_turn_once():
    queue, engine = started(max_concurrency=2), Engine()
    streams = [queue.submit_generate_stream(("abc", 1.0), engine.stream) for _ in range(2)]
    for stream in streams:
        await anext(stream)

    await asyncio.gather(queue.stop(), queue.stop())

    assert (engine.active, *counts(queue)) == (0, 0, 0, 2, 0, 0)


@in_virtual_time
async def test_stop_tells_what_went_wrong_when_a_stream_was_closed_and_ends_its_turn():
    async def stubborn(_):
        try:
            yield 1
        finally:
            raise OSError("cannot let go")

    queue = started()
    stream = queue.submit_generate_stream(1, generate_stream_fn=stubborn)
    await anext(stream)

    with pytest.raises(OSError, match="cannot let go"):
        await queue.stop()

    assert counts(queue) == (0, 0, 1, 0, 0)


@in_virtual_time
async def test_stopped_queue_takes_no_request_until_it_is_started_again():
    queue, engine = started(), Engine()
    await queue.stop()

    with pytest.raises(QueueError, match=r"call start\(\) first"):
        await submit(queue, engine, "a")
    queue.start()
    assert await submit(queue, engine, "b") == "B"


@in_virtual_time
async def test_new_queue_takes_no_request_before_it_is_started():
    queue = RequestQueue()
    with pytest.raises(QueueError, match=r"call start\(\) first"):
        await queue.acquire()

    queue.start()

    await queue.acquire()
    assert queue.stats().active == 1


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"max_depth": -1}, "max_depth must be 0 or more, got -1"),
        ({"timeout": 0}, "timeout must be above 0 seconds, got 0"),
        ({"timeout": float("nan")}, "timeout must be above 0 seconds, got nan"),
        ({"max_concurrency": 0}, "max_concurrency must be 1 or more, got 0"),
    ],
)
def test_senseless_limits_are_refused_with_their_value(options, complaint):
    with pytest.raises(ConfigurationError) as refused:
        RequestQueue(**options)

    assert str(refused.value) == complaint


def test_errors_can_be_caught_as_what_they_are():
    assert issubclass(QueueTimeoutError, TimeoutError)
    assert issubclass(QueueTimeoutError, QueueError)
    assert issubclass(QueueFullError, OctomilError)


async def test_queue_that_grows_lets_in_who_waits_and_one_that_shrinks_ends_no_turn():
    queue = RequestQueue(max_concurrency=1)
    queue.start()
    await queue.acquire()
    waiting = [asyncio.create_task(queue.acquire()) for _ in range(3)]
    await asyncio.sleep(0)

    queue.resize(3)
    await asyncio.gather(*waiting[:2])
    assert (queue.stats().active, queue.stats().pending) == (3, 1)

    queue.resize(1)
    for _ in range(2):
        queue.release()
    assert (queue.stats().active, queue.stats().pending) == (1, 1)
    queue.release()
    await waiting[2]
    queue.release()
    await queue.stop()

    with pytest.raises(ConfigurationError, match="max_concurrency must be 1 or more, got 0"):
        queue.resize(0)
