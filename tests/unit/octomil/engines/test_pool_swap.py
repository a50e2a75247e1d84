"""One engine takes another's place in virtual time: nothing is dropped, nothing is left open."""

import asyncio
from contextlib import aclosing
from dataclasses import replace

import pytest

from octomil.engines.base import GenerationRequest, Progress
from octomil.engines.echo import EchoEngine
from octomil.engines.pool import EnginePool
from octomil.engines.pooled import EngineState, HeldRelease, PooledEngine
from octomil.errors import DigestMismatchError, EngineError, GenerationError
from support.virtual_time import in_virtual_time

ASKED = GenerationRequest("completions", {"prompt": "one two three four"})


class Watched(EchoEngine):
    """Takes a second to load and a second for each word, and tells when it was closed."""

    def __init__(self, name: str, fault: Exception | None = None) -> None:
        super().__init__(name, delay_s=1.0)
        self.is_open = False
        self.death = asyncio.Event()
        self._fault = fault

    async def load(self, progress: Progress) -> None:
        await asyncio.sleep(1.0)
        if self._fault is not None:
            raise self._fault
        await super().load(progress)
        self.is_open = True

    async def failure(self) -> str:
        await self.death.wait()
        self.death.clear()
        return "it was told to"

    async def close(self) -> None:
        self.is_open = False
        await super().close()


async def started(engine: Watched) -> EnginePool:
    pool = EnginePool(print)
    pool.add("model", engine)
    await pool.start()
    return pool


async def fine(new: PooledEngine, old: PooledEngine) -> None:
    assert new.engine is not old.engine


async def words(pool: EnginePool) -> int:
    """Ask for four words, and count the events that come."""
    with pool.using("model") as entry:
        stream = entry.engine.stream(ASKED)
        async with aclosing(stream.events) as events:
            assert [event async for event in events]
        return stream.usage.completion_tokens


@in_virtual_time
async def test_what_has_begun_ends_on_the_old_engine_which_is_closed_after_that():
    old, new = Watched("old"), Watched("new")
    pool = await started(old)
    asked = asyncio.create_task(words(pool))
    await asyncio.sleep(0.5)

    await pool.swap("model", new, fine)

    assert pool.engine("model") is new
    assert (old.is_open, asked.done()) == (True, False)
    assert await asked == 4
    await asyncio.sleep(0.1)
    assert (old.is_open, new.is_open) == (False, True)
    assert await words(pool) == 4
    await pool.close()
    assert not new.is_open


@in_virtual_time
async def test_old_engine_serves_while_the_new_one_loads():
    old, new = Watched("old"), Watched("new")
    pool = await started(old)

    swapping = asyncio.create_task(pool.swap("model", new, fine))
    await asyncio.sleep(0.5)

    assert pool.engine("model") is old
    await swapping
    assert pool.engine("model") is new
    await pool.close()


@in_virtual_time
@pytest.mark.parametrize("fault", [EngineError("no luck"), OSError(28, "no space left")])
async def test_engine_that_does_not_load_leaves_the_old_one_where_it_is(fault: Exception):
    old, new = Watched("old"), Watched("new", fault)
    pool = await started(old)
    told: list[str] = []
    pool.on_ready(told.append)

    with pytest.raises(EngineError, match=r"no luck|no space left"):
        await pool.swap("model", new, fine)

    assert pool.engine("model") is old
    assert (old.is_open, new.is_open, told) == (True, False, [])
    await pool.close()


@in_virtual_time
async def test_engine_that_is_unfit_is_closed_and_the_old_one_stays():
    old, new = Watched("old"), Watched("new")
    pool = await started(old)

    async def unfit(_new: PooledEngine, _old: PooledEngine) -> None:
        raise GenerationError("nothing but noise")

    with pytest.raises(GenerationError, match="nothing but noise"):
        await pool.swap("model", new, unfit)

    assert pool.engine("model") is old
    assert (old.is_open, new.is_open) == (True, False)
    await pool.close()


@in_virtual_time
async def test_swap_that_is_given_up_leaves_nothing_behind():
    old, new = Watched("old"), Watched("new")
    pool = await started(old)
    proving = asyncio.Event()

    async def endless(_new: PooledEngine, _old: PooledEngine) -> None:
        proving.set()
        await asyncio.sleep(1e9)

    swapping = asyncio.create_task(pool.swap("model", new, endless))
    await proving.wait()
    swapping.cancel()
    await asyncio.gather(swapping, return_exceptions=True)

    assert swapping.cancelled()
    assert pool.engine("model") is old
    assert (old.is_open, new.is_open) == (True, False)
    await pool.close()


def held(number: str) -> HeldRelease:
    return HeldRelease(
        model_id="m", version=number, digest=f"sha256:{number}", require_whole=lambda: None
    )


async def test_engine_whose_file_was_changed_is_not_loaded():
    pool = EnginePool(print)
    pool.add("model", EchoEngine("old"), release=held("1"))
    await pool.start()

    def changed() -> None:
        raise DigestMismatchError("weights are not what the manifest says")

    with pytest.raises(DigestMismatchError, match="not what the manifest says"):
        await pool.swap("model", EchoEngine("new"), fine, replace(held("2"), require_whole=changed))

    assert [each.digest for each in pool.releases()] == ["sha256:1"]
    await pool.close()


async def test_releases_are_those_that_engines_hold_open():
    pool = EnginePool(print)
    pool.add("model", EchoEngine("old"), release=held("1"))
    await pool.start()

    with pool.using("model"):
        await pool.swap("model", EchoEngine("new"), fine, held("2"))
        assert {each.digest for each in pool.releases()} == {"sha256:1", "sha256:2"}
    while len(pool.releases()) > 1:
        await asyncio.sleep(0)

    assert [each.digest for each in pool.releases()] == ["sha256:2"]
    await pool.close()


@in_virtual_time
async def test_engine_that_took_anothers_place_is_brought_back_when_it_dies():
    old, new = Watched("old"), Watched("new")
    pool = await started(old)
    await pool.swap("model", new, fine)

    new.death.set()
    await asyncio.sleep(0.1)
    assert pool["model"].state is EngineState.RESTARTING
    await pool.ready("model")

    assert pool.engine("model") is new
    assert pool["model"].restarts == 1
    await pool.close()


@in_virtual_time
async def test_who_waits_for_an_engine_that_died_gets_the_one_in_its_place():
    old, new = Watched("old"), Watched("new")
    pool = await started(old)
    old.death.set()
    await asyncio.sleep(0.1)
    swapping = asyncio.create_task(pool.swap("model", new, fine))
    await asyncio.sleep(0.1)
    assert pool["model"].state is EngineState.RESTARTING
    old._fault = EngineError("it does not come back")

    assert await pool.ready("model") is new

    await swapping
    assert pool["model"].restarts == 1
    await pool.close()


@in_virtual_time
async def test_end_of_the_pool_ends_an_engine_that_is_still_in_use():
    old, new = Watched("old"), Watched("new")
    pool = await started(old)
    with pool.using("model"):
        await pool.swap("model", new, fine)
        await pool.close()

        assert (old.is_open, new.is_open) == (False, False)
    assert list(pool.releases()) == []
