"""The pool of engines in virtual time: they fail to load, die and come back, in exact order."""

import asyncio
from collections.abc import Iterable

import pytest

from octomil.engines.base import Progress
from octomil.engines.echo import EchoEngine
from octomil.engines.pool import EnginePool
from octomil.engines.pooled import EngineState
from octomil.errors import EngineError, EngineUnavailableError, GenerationError
from support.virtual_time import in_virtual_time

FIRST_DELAY_S = 0.5


class Mortal(EchoEngine):
    """Lives as long as it is told, and fails to load when it is told.

    Args:
        lifetimes_s: how long it lives after each load; after the last, for ever.
        faults: what its loads raise, in their order; None lets one pass.
    """

    def __init__(
        self, lifetimes_s: Iterable[float] = (), faults: Iterable[Exception | None] = ()
    ) -> None:
        super().__init__("mortal")
        self.loads_s: list[float] = []
        self._lifetimes_s, self._faults = iter(lifetimes_s), iter(faults)

    async def load(self, progress: Progress) -> None:
        self.loads_s.append(asyncio.get_running_loop().time())
        fault = next(self._faults, None)
        if fault is not None:
            raise fault
        await super().load(progress)

    async def failure(self) -> str:
        lifetime_s = next(self._lifetimes_s, None)
        if lifetime_s is None:
            return await super().failure()
        await asyncio.sleep(lifetime_s)
        return "its time had come"


class Pool:
    """A pool of one engine, and what it reported."""

    def __init__(self, engine: EchoEngine, *, lazy: bool = False) -> None:
        self.reports: list[str] = []
        self.pool = EnginePool(self.reports.append, first_delay_s=FIRST_DELAY_S)
        self.pool.add("mortal", engine, lazy=lazy)
        self.entry = self.pool["mortal"]


async def after(seconds: float) -> None:
    await asyncio.sleep(seconds)


def waits(engine: Mortal, lifetimes_s: Iterable[float]) -> list[float]:
    """Seconds from each death to the load that follows it."""
    loads = engine.loads_s
    deaths = [load + life for load, life in zip(loads, lifetimes_s, strict=False)]
    return [load - death for load, death in zip(loads[1:], deaths, strict=False)]


@in_virtual_time
async def test_engine_that_dies_at_once_is_tried_ever_less_often_up_to_half_a_minute():
    lives = [0.0] * 9
    engine = Mortal(lives)
    held = Pool(engine)
    await held.pool.start()

    await after(1_000)

    assert waits(engine, lives) == [0.5, 1, 2, 4, 8, 16, 30, 30, 30]
    assert held.entry.state is EngineState.READY
    assert held.entry.restarts == len(lives)
    await held.pool.close()


@in_virtual_time
async def test_engine_that_lived_for_over_a_minute_is_brought_back_quickly_again():
    lives = [0.0, 0.0, 59.0, 61.0, 0.0]
    engine = Mortal(lives)
    held = Pool(engine)
    await held.pool.start()

    await after(1_000)

    assert waits(engine, lives) == [0.5, 1, 2, 0.5, 1]
    await held.pool.close()


@in_virtual_time
async def test_request_that_finds_it_restarting_is_told_when_to_come_back():
    held = Pool(Mortal([5.0, 5.0]))
    await held.pool.start()
    told = []

    for _ in range(2):
        await after(5.1)
        with pytest.raises(EngineUnavailableError, match="restarting: again in") as busy:
            held.pool.engine("mortal")
        told.append(busy.value.retry_after_s)
        await held.pool.ready("mortal")

    assert told == [FIRST_DELAY_S + 1, 2 * FIRST_DELAY_S + 1]
    await held.pool.close()


@in_virtual_time
@pytest.mark.parametrize(
    "fault", [FileNotFoundError(2, "no such folder"), KeyError("n_ctx"), EngineError("bad luck")]
)
async def test_engine_comes_back_after_restarts_that_fail_in_whatever_way(fault):
    engine = Mortal([0.0], faults=[None, fault, fault])
    held = Pool(engine)
    await held.pool.start()

    await after(100)

    assert held.entry.state is EngineState.READY
    assert [load - engine.loads_s[0] for load in engine.loads_s] == [0, 0.5, 1.5, 3.5]
    complaints = [line for line in held.reports if "did not come back" in line]
    assert len(complaints) == 2
    assert all(str(fault) in line for line in complaints)
    assert held.reports[-1] == "model 'mortal' is back"
    await held.pool.close()


@in_virtual_time
@pytest.mark.parametrize("fault", [OSError(28, "no space left"), KeyError("n_ctx")])
async def test_first_load_that_fails_in_an_unforeseen_way_is_an_engine_error(fault):
    held = Pool(Mortal(faults=[fault]))

    with pytest.raises(EngineError, match="model 'mortal' could not be loaded: ") as failed:
        await held.pool.start()

    assert failed.value.__cause__ is fault
    assert held.entry.state is EngineState.FAILED
    assert str(fault) in held.entry.detail
    assert await held.pool.ready("mortal")  # a later call tries again
    await held.pool.close()


class Counted(EchoEngine):
    """Says how busy it is after a while, or fails to."""

    def __init__(self, busy: int | Exception, after_s: float = 0.0) -> None:
        super().__init__()
        self._answer, self._after_s = busy, after_s

    async def busy(self) -> int:
        await asyncio.sleep(self._after_s)
        if isinstance(self._answer, Exception):
            raise self._answer
        return self._answer


@in_virtual_time
async def test_engine_that_cannot_say_how_busy_it_is_keeps_no_other_from_saying_so():
    pool = EnginePool(print)
    pool.add("idle", Counted(0))
    pool.add("stuck", Counted(7, after_s=1_000))
    pool.add("gone", Counted(GenerationError("the connection broke")))
    pool.add("slow", Counted(2, after_s=0.5))
    pool.add("asleep", Counted(1), lazy=True)
    await pool.start()

    assert await pool.busy(timeout_s=1) == {"idle": 0, "slow": 2}
    assert asyncio.get_running_loop().time() == 1
    await pool.close()


@in_virtual_time
async def test_another_takes_the_place_of_an_engine_that_cannot_be_loaded_at_start():
    served = Pool(Mortal(faults=[EngineError("it is no model")]))
    other, asked, told = EchoEngine("mortal"), [], []

    async def prove(_new, _old):
        pass

    async def instead(name, error):
        asked.append((name, str(error)))
        await served.pool.swap(name, other, prove)

    await served.pool.start(lambda name, engine: told.append((name, engine)), instead)

    assert asked == [("mortal", "it is no model")]
    assert told == [("mortal", other)]
    assert served.pool.engine("mortal") is other
    await served.pool.close()


@in_virtual_time
async def test_engine_that_fails_once_it_is_loaded_is_replaced_likewise():
    served = Pool(Mortal())
    other = EchoEngine("mortal")

    async def prove(_new, _old):
        pass

    async def loaded(_name, engine):
        if engine is not other:
            raise GenerationError("it says nothing")

    async def instead(name, _error):
        await served.pool.swap(name, other, prove)

    await served.pool.start(loaded, instead)

    assert served.pool.engine("mortal") is other
    await served.pool.close()


@in_virtual_time
async def test_start_ends_with_what_there_is_no_other_for():
    served = Pool(Mortal(faults=[EngineError("it is no model")]))

    async def instead(_name, error):
        raise error

    with pytest.raises(EngineError, match="no model"):
        await served.pool.start(None, instead)
    await served.pool.close()


@in_virtual_time
async def test_lazy_engine_should_be_up_only_once_it_was_needed():
    held = Pool(Mortal([5.0]), lazy=True)
    await held.pool.start()
    assert not held.entry.should_be_up

    await held.pool.ready("mortal")
    assert held.entry.should_be_up
    await after(5.1)

    assert held.entry.state is EngineState.RESTARTING
    assert held.entry.should_be_up
    await held.pool.close()


@in_virtual_time
async def test_lazy_engine_that_failed_to_load_should_be_up():
    held = Pool(Mortal(faults=[EngineError("no luck")]), lazy=True)
    with pytest.raises(EngineError, match="no luck"):
        await held.pool.ready("mortal")

    assert held.entry.should_be_up
    await held.pool.close()


@in_virtual_time
async def test_engine_that_is_loaded_at_start_should_be_up_from_the_first():
    assert Pool(Mortal()).entry.should_be_up


@in_virtual_time
async def test_who_wants_to_know_is_told_each_time_an_engine_is_ready():
    held = Pool(Mortal([5.0]))
    told: list[tuple[str, EngineState]] = []
    held.pool.on_ready(lambda name: told.append((name, held.entry.state)))
    await held.pool.start()
    await after(5.0 + FIRST_DELAY_S + 0.1)

    assert told == [("mortal", EngineState.READY)] * 2
    await held.pool.close()
