"""Lazy engines share a memory budget in virtual time: who stays, who goes, who waits."""

import asyncio

import pytest

from octomil.engines.base import Progress
from octomil.engines.echo import EchoEngine
from octomil.engines.pool import EnginePool
from octomil.engines.pooled import EngineState
from octomil.errors import (
    EngineError,
    EngineUnavailableError,
    InsufficientSpaceError,
    UnknownModelError,
)
from support.virtual_time import in_virtual_time

LOAD_S = 1.0


class Machine:
    """Memory that engines take while they are loaded, as one can look up afterwards.

    Args:
        budget: units of memory that the pool may use.
        idle_s: as the pool has it.
    """

    def __init__(self, budget: int | None = None, idle_s: float | None = None) -> None:
        self.reports: list[str] = []
        self.pool = EnginePool(self.reports.append, budget_bytes=budget, idle_s=idle_s)
        self.taken: dict[str, int] = {}
        self.most_taken = 0
        self.loads: list[str] = []

    def add(self, name: str, size: int, *, lazy: bool = True, fault: bool = False) -> None:
        self.hold(Sized(self, name, size, fault=fault), lazy=lazy)

    def hold(self, engine: "Sized", *, lazy: bool = True) -> None:
        self.pool.add(engine.name, engine, lazy=lazy, memory_bytes=engine.size)

    async def ask(self, name: str, seconds: float = 0.0) -> None:
        """Use an engine for a while, as a request does."""
        async with self.pool.loaded(name) as held:
            assert held.state is EngineState.READY
            assert name in self.taken
            await asyncio.sleep(seconds)
            assert name in self.taken, "it was taken away from under a request"


class Sized(EchoEngine):
    def __init__(self, machine: Machine, name: str, size: int, *, fault: bool) -> None:
        super().__init__(name)
        self._machine, self.size, self._fault = machine, size, fault

    async def load(self, progress: Progress) -> None:
        machine = self._machine
        assert self.name not in machine.taken, "it is in memory twice"
        machine.loads.append(self.name)
        await asyncio.sleep(LOAD_S)
        if self._fault:
            raise EngineError("it is no model")
        machine.taken[self.name] = self.size
        machine.most_taken = max(machine.most_taken, sum(machine.taken.values()))
        await super().load(progress)

    async def close(self) -> None:
        self._machine.taken.pop(self.name, None)
        await super().close()


class Mayfly(Sized):
    """Dies as soon as it is loaded, and cannot be brought back."""

    def __init__(self, machine: Machine, name: str, size: int) -> None:
        super().__init__(machine, name, size, fault=False)

    async def failure(self) -> str:
        self._machine.taken.pop(self.name)
        self._fault = True
        return "out of memory"


class Unclean(Sized):
    """Frees its memory, and cannot remove its files the first time."""

    def __init__(self, machine: Machine, name: str, size: int) -> None:
        super().__init__(machine, name, size, fault=False)
        self._closes = 0

    async def close(self) -> None:
        await super().close()
        self._closes += 1
        if self._closes == 1:
            raise OSError("no such folder")


def now() -> float:
    return asyncio.get_running_loop().time()


@in_virtual_time
async def test_least_recently_used_goes_when_another_needs_the_room():
    machine = Machine(budget=10)
    for name in "abc":
        machine.add(name, 4)
    for name in ("a", "b", "a", "c"):
        await machine.ask(name, 1)

    assert machine.taken == {"a": 4, "c": 4}
    assert machine.pool["b"].state is EngineState.WAITING
    assert machine.reports == ["model 'b' is unloaded: 'c' needs the room"]
    await machine.pool.close()
    assert machine.taken == {}


@in_virtual_time
async def test_as_many_go_as_have_to_and_no_more():
    machine = Machine(budget=10)
    for name, size in {"a": 3, "b": 3, "c": 4, "large": 6}.items():
        machine.add(name, size)
    for name in "abc":
        await machine.ask(name)

    await machine.ask("large")

    assert machine.taken == {"c": 4, "large": 6}
    assert machine.most_taken == 10
    await machine.pool.close()


@in_virtual_time
async def test_engine_that_went_comes_back_when_it_is_asked_again():
    machine = Machine(budget=5)
    machine.add("a", 5)
    machine.add("b", 5)

    for name in ("a", "b", "a"):
        await machine.ask(name)

    assert machine.loads == ["a", "b", "a"]
    assert machine.pool["a"].restarts == 0, "it did not die"
    await machine.pool.close()


@in_virtual_time
async def test_engine_in_use_ends_what_it_has_begun_before_it_goes():
    machine = Machine(budget=5)
    machine.add("a", 5)
    machine.add("b", 5)
    long = asyncio.create_task(machine.ask("a", 100))
    await asyncio.sleep(LOAD_S + 1)

    await machine.ask("b")

    assert long.done()
    assert now() == LOAD_S + 100 + LOAD_S
    assert machine.taken == {"b": 5}
    await long
    await machine.pool.close()


@in_virtual_time
async def test_idle_engine_goes_before_one_in_use_even_if_it_was_used_later():
    machine = Machine(budget=10)
    for name in ("busy", "idle", "new"):
        machine.add(name, 5)
    long = asyncio.create_task(machine.ask("busy", 100))
    await asyncio.sleep(LOAD_S + 1)
    await machine.ask("idle")

    await machine.ask("new")

    assert set(machine.taken) == {"busy", "new"}
    assert not long.done()
    await long
    await machine.pool.close()


@in_virtual_time
async def test_steady_stream_of_requests_for_one_model_starves_no_other():
    machine = Machine(budget=5)
    machine.add("popular", 5)
    machine.add("other", 5)

    async def keep_asking() -> None:
        while True:
            await machine.ask("popular", 2)

    crowd = [asyncio.create_task(keep_asking()) for _ in range(3)]
    await asyncio.sleep(LOAD_S + 1)

    async with asyncio.timeout(10):
        await machine.ask("other")
    async with asyncio.timeout(10):
        await machine.ask("popular")

    for task in crowd:
        task.cancel()
    await asyncio.gather(*crowd, return_exceptions=True)
    await machine.pool.close()


@in_virtual_time
async def test_models_that_want_the_same_room_at_once_all_get_their_turn():
    machine = Machine(budget=7)
    for name in "abcde":
        machine.add(name, 5)

    async with asyncio.timeout(60):
        await asyncio.gather(*(machine.ask(name, 1) for name in "abcdeabcde"))

    assert machine.most_taken == 5
    assert sorted(machine.loads) == list("abcde"), "each was loaded once for both requests"
    await machine.pool.close()


@in_virtual_time
async def test_small_one_does_not_take_what_a_large_one_waits_for():
    machine = Machine(budget=10)
    for name, size in {"busy": 6, "large": 10, "small": 2}.items():
        machine.add(name, size)
    busy = asyncio.create_task(machine.ask("busy", 100))
    await asyncio.sleep(LOAD_S)
    large = asyncio.create_task(machine.ask("large"))
    await asyncio.sleep(1)

    await machine.ask("small")

    assert (busy.done(), large.done()) == (True, True)
    assert machine.loads == ["busy", "large", "small"]
    await machine.pool.close()


@in_virtual_time
async def test_engine_that_never_fits_is_refused_and_nobody_goes_for_it():
    machine = Machine(budget=10 * 2**20)
    machine.add("served", 4 * 2**20, lazy=False)
    machine.add("a", 2 * 2**20)
    machine.add("huge", 7 * 2**20)
    await machine.pool.start()
    await machine.ask("a")

    with pytest.raises(InsufficientSpaceError, match=r"'huge' .* 7 MiB .* are 6 MiB for models"):
        await machine.ask("huge")

    assert set(machine.taken) == {"served", "a"}
    assert machine.pool["huge"].state is EngineState.WAITING
    assert not machine.pool["huge"].should_be_up
    await machine.pool.close()


@in_virtual_time
async def test_engine_that_is_not_lazy_stays():
    machine = Machine(budget=10, idle_s=60)
    machine.add("served", 5, lazy=False)
    machine.add("a", 5)
    machine.add("b", 5)
    await machine.pool.start()
    await machine.ask("a")
    await machine.ask("b")
    await asyncio.sleep(1_000)

    assert set(machine.taken) == {"served"}
    assert machine.loads == ["served", "a", "b"]
    await machine.pool.close()


@in_virtual_time
async def test_engine_that_did_not_load_takes_no_room():
    machine = Machine(budget=5)
    machine.add("broken", 5, fault=True)
    machine.add("a", 5)
    with pytest.raises(EngineError, match="no model"):
        await machine.ask("broken")

    await machine.ask("a")

    assert machine.reports == []
    assert machine.pool["broken"].state is EngineState.FAILED
    await machine.pool.close()


@in_virtual_time
async def test_engine_is_unloaded_once_nobody_used_it_for_so_long():
    machine = Machine(idle_s=60)
    machine.add("a", 1)
    machine.add("b", 1)
    await machine.ask("a", 100)
    last_used_s = now()
    await machine.ask("b")

    await asyncio.sleep(last_used_s + 60 - now() - 0.1)
    assert set(machine.taken) == {"a", "b"}
    await asyncio.sleep(0.2)
    assert set(machine.taken) == {"b"}
    await asyncio.sleep(60)

    assert machine.taken == {}
    assert machine.reports[0] == "model 'a' is unloaded: not used for 60 s"
    await machine.ask("a")
    await machine.pool.close()


@in_virtual_time
async def test_engine_in_use_is_not_idle_however_long_it_takes():
    machine = Machine(idle_s=10)
    machine.add("a", 1)

    await machine.ask("a", 1_000)

    assert machine.loads == ["a"]
    assert machine.reports == []
    await machine.pool.close()


@in_virtual_time
async def test_request_given_up_while_it_waits_for_room_leaves_nothing_behind():
    machine = Machine(budget=5)
    for name in "abc":
        machine.add(name, 5)
    busy = asyncio.create_task(machine.ask("a", 100))
    await asyncio.sleep(LOAD_S)
    given_up = asyncio.create_task(machine.ask("b"))
    await asyncio.sleep(1)
    given_up.cancel()
    await asyncio.gather(given_up, return_exceptions=True)

    async with asyncio.timeout(200):
        await machine.ask("c")
        await machine.ask("a")

    assert machine.most_taken == 5
    await busy
    await machine.pool.close()


@in_virtual_time
async def test_pool_closes_while_one_drains_and_another_waits_for_its_room():
    machine = Machine(budget=5)
    machine.add("a", 5)
    machine.add("b", 5)
    busy = asyncio.create_task(machine.ask("a", 100))
    await asyncio.sleep(LOAD_S)
    waiting = asyncio.create_task(machine.ask("b"))
    await asyncio.sleep(1)

    busy.cancel()
    waiting.cancel()
    await asyncio.gather(busy, waiting, return_exceptions=True)
    await machine.pool.close()

    assert machine.taken == {}


@in_virtual_time
async def test_engine_that_there_is_not_is_not_loaded():
    with pytest.raises(UnknownModelError):
        await Machine().ask("a")


@in_virtual_time
async def test_engine_that_dies_for_ever_keeps_nobody_else_waiting():
    machine = Machine(budget=10)
    machine.hold(Mayfly(machine, "mayfly", 8))
    machine.add("large", 8)
    machine.add("small", 1)
    asked = [asyncio.create_task(machine.ask(name)) for name in ("mayfly", "large", "small")]

    async with asyncio.timeout(60):
        died, *answered = await asyncio.gather(*asked, return_exceptions=True)

    assert isinstance(died, EngineUnavailableError)
    assert answered == [None, None]
    assert machine.taken == {"large": 8, "small": 1}
    assert machine.reports[-1] == "model 'mayfly' is unloaded: 'large' needs the room"
    await machine.pool.close()


@in_virtual_time
async def test_request_for_one_that_is_being_brought_back_is_told_when_to_come_back():
    machine = Machine(budget=10)
    machine.hold(Mayfly(machine, "mayfly", 8))
    for _ in range(2):
        with pytest.raises(EngineUnavailableError, match="restarting") as refused:
            async with asyncio.timeout(60):
                await machine.ask("mayfly")
        assert refused.value.retry_after_s > 0
    await machine.pool.close()


@in_virtual_time
async def test_engine_that_does_not_close_cleanly_makes_room_all_the_same():
    machine = Machine(budget=10)
    machine.hold(Unclean(machine, "unclean", 8))
    machine.add("other", 8)

    for name in ("unclean", "other", "unclean"):
        async with asyncio.timeout(60):
            await machine.ask(name)

    assert machine.taken == {"unclean": 8}
    assert "model 'unclean' did not close cleanly: OSError('no such folder')" in machine.reports
    await machine.pool.close()


@in_virtual_time
async def test_idle_engines_go_even_if_one_before_did_not_close_cleanly():
    machine = Machine(idle_s=60)
    machine.hold(Unclean(machine, "unclean", 1))
    machine.add("later", 1)
    await machine.ask("unclean")
    await asyncio.sleep(90)

    await machine.ask("later")
    await asyncio.sleep(90)

    assert machine.taken == {}
    assert machine.reports[-1] == "model 'later' is unloaded: not used for 60 s"
    await machine.pool.close()
