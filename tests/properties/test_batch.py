"""Any interleaving of requests, cancellations and a stop: everybody is answered exactly once."""

import asyncio
import gc
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from octomil.batch import QueueFullError, QueueTimeoutError, RequestQueue
from octomil.errors import QueueError
from support.virtual_time import run

MOMENTS = st.integers(0, 8)


class WorkError(Exception):
    """What a request's own generation raises."""


@dataclass(frozen=True)
class Plan:
    """What one caller does."""

    arrives_at: int
    works_for: int
    kind: str
    fails: bool
    cancelled_at: int | None


plans = st.lists(
    st.builds(
        Plan,
        arrives_at=MOMENTS,
        works_for=st.integers(0, 4),
        kind=st.sampled_from(["whole", "stream", "left stream"]),
        fails=st.booleans(),
        cancelled_at=st.none() | MOMENTS,
    ),
    max_size=12,
)


class Play:
    """Lets the callers do as planned, and writes down what happens."""

    def __init__(self, queue: RequestQueue, wanted: list[Plan]) -> None:
        self._queue = queue
        self._wanted = wanted
        self._active = 0
        self.most_active = 0
        self.submitted: list[int] = []
        self.started: dict[int, float] = {}
        self.waited: dict[int, float] = {}
        self.outcomes: list[Any] = []
        self.complaints: list[Any] = []

    async def perform(self, stop_at: int | None) -> None:
        """Play to the end; at `stop_at` the queue is stopped."""
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: self.complaints.append(context))
        tasks = [asyncio.create_task(self._call(i)) for i in range(len(self._wanted))]
        for task, plan in zip(tasks, self._wanted, strict=True):
            if plan.cancelled_at is not None:
                loop.call_at(plan.cancelled_at, task.cancel)
        if stop_at is not None:
            await asyncio.sleep(stop_at)
            await self._queue.stop()
        self.outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        await self._queue.stop()
        del tasks
        gc.collect(1)  # what nobody retrieved complains when it is freed

    async def _call(self, number: int) -> int:
        loop = asyncio.get_running_loop()
        plan = self._wanted[number]
        await asyncio.sleep(plan.arrives_at)
        self.submitted.append(number)
        asked = loop.time()
        try:
            if plan.kind == "whole":
                return await self._queue.submit_generate(number, generate_fn=self._whole)
            return await self._read(number, leave=plan.kind == "left stream")
        except QueueTimeoutError:
            self.waited[number] = loop.time() - asked
            raise

    async def _read(self, number: int, *, leave: bool) -> int:
        chunks = self._queue.submit_generate_stream(number, generate_stream_fn=self._work)
        async with aclosing(chunks):
            read = [await anext(chunks)]
            if not leave:
                read += [chunk async for chunk in chunks]
        return read[-1]

    async def _whole(self, number: int) -> int:
        async with aclosing(self._work(number)) as chunks:
            return [chunk async for chunk in chunks][-1]

    async def _work(self, number: int) -> AsyncGenerator[int, None]:
        assert number not in self.started
        self.started[number] = asyncio.get_running_loop().time()
        self._active += 1
        self.most_active = max(self.most_active, self._active)
        try:
            for _ in range(2):
                await asyncio.sleep(self._wanted[number].works_for)
                yield number
            if self._wanted[number].fails:
                raise WorkError(number)
        finally:
            self._active -= 1


@settings(max_examples=200, deadline=None)
@given(
    wanted=plans,
    max_depth=st.integers(0, 3),
    timeout=st.integers(1, 4),
    max_concurrency=st.integers(1, 3),
    stop_at=st.none() | MOMENTS,
)
def test_every_request_is_answered_exactly_once(
    wanted, max_depth, timeout, max_concurrency, stop_at
):
    queue = RequestQueue(max_depth, timeout, max_concurrency=max_concurrency)
    queue.start()

    play = Play(queue, wanted)
    run(play.perform(stop_at))

    assert play.complaints == []
    assert play.most_active <= max_concurrency
    in_line = [number for number in play.submitted if number in play.started]
    began = [play.started[number] for number in in_line]
    assert began == sorted(began)  # first come, first served
    assert max_concurrency > 1 or list(play.started) == in_line
    for number, outcome in enumerate(play.outcomes):
        check_outcome(wanted[number], number, outcome, started=number in play.started)
    assert set(play.waited.values()) <= {timeout}
    stats = queue.stats()
    assert (stats.pending, stats.active) == (0, 0)
    assert stats.rejected == sum(isinstance(o, QueueFullError) for o in play.outcomes)
    cancelled = sum(isinstance(o, asyncio.CancelledError) for o in play.outcomes)
    assert 0 <= stats.timed_out - len(play.waited) <= cancelled
    assert 0 <= stats.completed - len(play.started) <= cancelled


def check_outcome(plan: Plan, number: int, outcome: object, *, started: bool) -> None:
    """Whoever had a turn gets what the engine made of it; whoever had none is told why."""
    if isinstance(outcome, asyncio.CancelledError):
        assert plan.cancelled_at is not None
    elif isinstance(outcome, WorkError):
        assert started
        assert plan.fails
        assert plan.kind != "left stream"
        assert outcome.args == (number,)
    elif isinstance(outcome, QueueError):
        assert not started
    else:
        assert started
        assert outcome == number
        assert not plan.fails or plan.kind == "left stream"
