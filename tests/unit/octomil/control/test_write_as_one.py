"""A handler that is run in the thread that writes, its calls at once and in one transaction."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import nullcontext

import pytest

from octomil.control.threads import ServiceThreads
from octomil.errors import NotFoundError


@pytest.fixture
def threads() -> Iterator[ServiceThreads]:
    threads = ServiceThreads(nullcontext)
    yield threads
    threads.close()


def here() -> str:
    return threading.current_thread().name


def at_once(run: Callable[[], list[str]]) -> list[str]:
    return run()


async def test_its_calls_are_made_in_one_thread_and_what_follows_after_them(
    threads: ServiceThreads,
):
    followed: list[str] = []

    async def handler() -> list[str]:
        await threads.afterwards(lambda: followed.append(here()))
        assert followed == []
        return [here(), await threads.write(here), await threads.read(here)]

    names = await threads.write_as_one(handler, at_once)

    assert len(set(names)) == 1
    assert names[0].startswith("octomil-writer")
    assert [name.startswith("octomil-reader") for name in followed] == [True]
    assert await threads.read(here) != names[0]


async def test_what_is_not_run_is_followed_by_nothing(threads: ServiceThreads):
    followed: list[None] = []

    async def handler() -> list[str]:
        await threads.afterwards(lambda: followed.append(None))
        return ["run"]

    assert await threads.write_as_one(handler, lambda _run: ["kept"]) == ["kept"]
    assert followed == []


async def test_its_exception_comes_back_and_the_thread_is_as_before(threads: ServiceThreads):
    async def handler() -> list[str]:
        raise NotFoundError("no")

    with pytest.raises(NotFoundError):
        await threads.write_as_one(handler, at_once)

    assert (await threads.read(here)).startswith("octomil-reader")


async def test_a_handler_that_waits_for_something_else_is_a_fault(threads: ServiceThreads):
    async def handler() -> list[str]:
        await asyncio.sleep(0)
        return []

    with pytest.raises(RuntimeError, match="awaits more"):
        await threads.write_as_one(handler, at_once)
