import asyncio
import logging
from functools import partial

import pytest

from epochly.inference.breaker import (
    BreakerPolicy,
    BreakerState,
    CircuitBreaker,
    CircuitOpenError,
    ignoring,
)
from support.manual_clock import ManualClock


def once(**options) -> CircuitBreaker:
    """A breaker that opens on the first failure."""
    return CircuitBreaker("model", BreakerPolicy(failure_threshold=1), **options)


def test_a_call_passes_through_with_its_arguments_and_result():
    breaker = once()

    assert breaker.call(divmod, 7, 2) == (3, 1)
    assert breaker.call(sorted, [1, 2], reverse=True) == [2, 1]
    assert breaker.snapshot().window_calls == 2


def test_a_failure_passes_through_and_is_counted():
    breaker = once()

    with pytest.raises(ZeroDivisionError):
        breaker.call(divmod, 7, 0)

    assert breaker.state is BreakerState.OPEN


def test_an_open_breaker_calls_nothing():
    breaker = once()
    breaker.trip("test")
    called = []

    with pytest.raises(CircuitOpenError, match="circuit 'model' is open") as caught:
        breaker.call(called.append, 1)

    assert called == []
    assert caught.value.retry_after_s > 0


async def test_a_coroutine_function_is_called_and_awaited():
    async def double(x: int, *, plus: int) -> int:
        await asyncio.sleep(0)
        return 2 * x + plus

    async def fail() -> None:
        raise OSError("gone")

    breaker = once()
    assert await breaker.call_async(double, 20, plus=2) == 42
    assert breaker.snapshot().window_calls == 1
    with pytest.raises(OSError, match="gone"):
        await breaker.call_async(fail)
    with pytest.raises(CircuitOpenError):
        await breaker.call_async(double, 20, plus=2)


async def test_async_with_guards_as_with_does():
    breaker = once()
    async with breaker.guard() as permit:
        assert not permit.is_probe
    with pytest.raises(OSError, match="gone"):
        async with breaker.guard():
            raise OSError("gone")

    assert breaker.state is BreakerState.OPEN
    with pytest.raises(CircuitOpenError):
        await breaker.guard().__aenter__()


async def test_a_cancelled_call_is_not_counted():
    breaker = once()
    task = asyncio.create_task(breaker.call_async(asyncio.sleep, 60))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    snapshot = breaker.snapshot()
    assert (snapshot.state, snapshot.window_calls) == (BreakerState.CLOSED, 0)


async def test_a_cancelled_probe_leaves_room_for_the_next():
    clock = ManualClock()
    breaker = once(clock=clock)
    breaker.trip("test")
    clock.advance(40)
    task = asyncio.create_task(breaker.call_async(asyncio.sleep, 60))
    await asyncio.sleep(0)
    assert breaker.snapshot().probes_in_flight == 1
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert breaker.call(int, "7") == 7
    assert breaker.state is BreakerState.CLOSED


async def test_a_time_limit_inside_the_guard_counts():
    breaker = once()

    with pytest.raises(TimeoutError):
        async with breaker.guard():
            await asyncio.wait_for(asyncio.Event().wait(), 0.001)

    assert breaker.state is BreakerState.OPEN


@pytest.mark.parametrize("error", [KeyboardInterrupt, GeneratorExit, SystemExit])
def test_what_ends_a_program_or_a_generator_is_not_counted(error):
    breaker = once(is_failure=lambda error: True)

    with pytest.raises(error), breaker.guard():
        raise error

    assert breaker.snapshot().window_calls == 0
    assert not breaker.counts(error())


def test_the_callers_own_errors_are_not_counted():
    breaker = once(is_failure=ignoring(ValueError))

    with pytest.raises(ValueError, match="bad request"), breaker.guard():
        raise ValueError("bad request")
    assert breaker.snapshot().window_calls == 0
    with pytest.raises(OSError, match="gone"), breaker.guard():
        raise OSError("gone")
    assert breaker.state is BreakerState.OPEN


def test_a_judgement_that_fails_does_not_replace_the_error(caplog):
    def judge(error: Exception) -> bool:
        raise RuntimeError("broken")

    breaker = once(is_failure=judge)
    with caplog.at_level(logging.ERROR), pytest.raises(OSError, match="gone"), breaker.guard():
        raise OSError("gone")

    assert breaker.state is BreakerState.OPEN
    assert "is_failure failed" in caplog.text


async def through_with(breaker, function):
    with breaker.guard():
        return function()


async def through_async_with(breaker, function):
    async with breaker.guard():
        return function()


async def through_call(breaker, function):
    return breaker.call(function)


async def through_call_async(breaker, function):
    async def later():
        return function()

    return await breaker.call_async(later)


every_way = pytest.mark.parametrize(
    "through", [through_with, through_async_with, through_call, through_call_async]
)


@every_way
async def test_a_slow_call_counts_as_failed_though_it_succeeded(through):
    clock = ManualClock()
    policy = BreakerPolicy(failure_threshold=2, slow_call_s=5)
    breaker = CircuitBreaker("model", policy, clock=clock)
    for seconds in (4.9, 5.0):
        await through(breaker, partial(clock.advance, seconds))

    snapshot = breaker.snapshot()
    assert (snapshot.window_calls, snapshot.window_failures) == (2, 1)


@every_way
@pytest.mark.parametrize("slow_call_s", [None, 5.0])
async def test_success_failure_and_refusal_are_told_apart(through, slow_call_s):
    policy = BreakerPolicy(failure_threshold=1, slow_call_s=slow_call_s)
    breaker = CircuitBreaker("model", policy, is_failure=ignoring(KeyError))

    assert await through(breaker, lambda: 7) == 7
    with pytest.raises(KeyError):
        await through(breaker, partial({}.__getitem__, "absent"))
    assert (breaker.snapshot().window_calls, breaker.state) == (1, "closed")
    with pytest.raises(ZeroDivisionError):
        await through(breaker, partial(divmod, 7, 0))
    with pytest.raises(CircuitOpenError):
        await through(breaker, lambda: pytest.fail("it was called"))


@every_way
async def test_a_probe_that_goes_well_closes(through):
    clock = ManualClock()
    breaker = once(clock=clock)
    breaker.trip("test")
    clock.advance(40)

    await through(breaker, lambda: None)

    assert breaker.state == "closed"


def test_the_reason_names_the_probes_error():
    clock = ManualClock()
    breaker = once(clock=clock)
    breaker.trip("test")
    clock.advance(40)

    with pytest.raises(OSError, match="still gone"), breaker.guard():
        raise OSError("still gone")

    assert breaker.snapshot().reason == "a probe failed: OSError: still gone"


def test_a_guard_that_was_not_admitted_records_nothing():
    breaker = once()
    breaker.force_open()
    guard = breaker.guard()
    with pytest.raises(CircuitOpenError):
        guard.__enter__()
    breaker.reset()

    guard.__exit__(None, None, None)

    assert breaker.snapshot().window_calls == 0
