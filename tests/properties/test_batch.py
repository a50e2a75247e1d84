"""Any interleaving of requests, cancellations and a stop: everybody is answered exactly once."""

import asyncio
import gc
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from support.virtual_time import run

from octomil.batch import QueueFullError, QueueTimeoutError, RequestQueue
from octomil.errors import QueueError

MOMENTS = st.integers(0, 8)


class EngineFault(Exception):
    """What a request's own generation raises."""


@dataclass(frozen=True)
class Plan:
    """What one caller does."""

    arrives_at: int
    works_for: int
    kind: str
    fails: bool
    cancelled_at: int | None


@dataclass
class Diary:
    """What happened."""

    submitted: list[int] = field(default_factory=list)
    started: dict[int, float] = field(default_factory=dict)
    outcomes: list[Any] = field(default_factory=list)
    active: int = 0
    most_active: int = 0
    waited: dict[int, float] = field(default_factory=dict)
    complaints: list[Any] = field(default_factory=list)


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


async def play(queue: RequestQueue, wanted: list[Plan], stop_at: int | None) -> Diary:
    """Let the callers do as planned, and write down what happens."""
    diary = Diary()
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: diary.complaints.append(context))

    async def work(number: int):
        plan = wanted[number]
        assert number not in diary.started
        diary.started[number] = loop.time()
        diary.active += 1
        diary.most_active = max(diary.most_active, diary.active)
        try:
            for _ in range(2):
                await asyncio.sleep(plan.works_for)
                yield number
            if plan.fails:
                raise EngineFault(number)
        finally:
            diary.active -= 1

    async def whole(number: int) -> int:
        async with aclosing(work(number)) as chunks:
            return [chunk async for chunk in chunks][-1]

    async def call(number: int) -> int:
        plan = wanted[number]
        await asyncio.sleep(plan.arrives_at)
        diary.submitted.append(number)
        asked = loop.time()
        try:
            if plan.kind == "whole":
                return await queue.submit_generate(number, generate_fn=whole)
            last = -1
            async with aclosing(queue.submit_generate_stream(number, work)) as chunks:
                async for last in chunks:
                    if plan.kind == "left stream":
                        break
            return last
        except QueueTimeoutError:
            diary.waited[number] = loop.time() - asked
            raise

    tasks = [asyncio.create_task(call(number)) for number in range(len(wanted))]
    for task, plan in zip(tasks, wanted, strict=True):
        if plan.cancelled_at is not None:
            loop.call_at(plan.cancelled_at, task.cancel)
    if stop_at is not None:
        await asyncio.sleep(stop_at)
        await queue.stop()
    diary.outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    await queue.stop()
    del tasks
    gc.collect(1)
    return diary


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

    diary = run(play(queue, wanted, stop_at))

    assert diary.complaints == []
    assert diary.most_active <= max_concurrency
    in_line = [number for number in diary.submitted if number in diary.started]
    began = [diary.started[number] for number in in_line]
    assert began == sorted(began)  # first come, first served
    assert max_concurrency > 1 or list(diary.started) == in_line
    for number, outcome in enumerate(diary.outcomes):
        check_outcome(wanted[number], number, outcome, started=number in diary.started)
    assert set(diary.waited.values()) <= {timeout}
    stats = queue.stats()
    assert (stats.pending, stats.active) == (0, 0)
    assert stats.rejected == sum(isinstance(o, QueueFullError) for o in diary.outcomes)
    cancelled = sum(isinstance(o, asyncio.CancelledError) for o in diary.outcomes)
    assert 0 <= stats.timed_out - len(diary.waited) <= cancelled
    assert 0 <= stats.completed - len(diary.started) <= cancelled


def check_outcome(plan: Plan, number: int, outcome: object, *, started: bool) -> None:
    """Whoever had a turn gets what the engine made of it; whoever had none is told why."""
    if isinstance(outcome, asyncio.CancelledError):
        assert plan.cancelled_at is not None
    elif isinstance(outcome, EngineFault):
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
