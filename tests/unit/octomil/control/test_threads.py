import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial

import pytest

from octomil.control.ports import (
    OutcomeUnknownError,
    StoreBusyError,
    StoreUnreachableError,
    TransactionConflictError,
)
from octomil.control.services.kept_files import KeptFiles
from octomil.control.threads import MAX_WORK_OF_ONE, WORKERS, ServiceThreads
from octomil.control.writer import TRIES
from octomil.errors import ApiError, NotFoundError, ServiceUnavailableError


@dataclass
class Groups:
    """Counts groups, and fails the commits of as many as it is told to."""

    failures: int = 0
    failure: type[Exception] = ServiceUnavailableError
    committed: int = 0
    threads: set[str] = field(default_factory=set)

    @contextmanager
    def __call__(self) -> Iterator[None]:
        self.threads.add(threading.current_thread().name)
        yield
        if self.failures:
            self.failures -= 1
            raise self.failure("the commit failed")
        self.committed += 1


@pytest.fixture
def groups() -> Groups:
    return Groups()


@pytest.fixture
def threads(groups: Groups) -> Iterator[ServiceThreads]:
    threads = ServiceThreads(groups, readers=2, max_waiting=2)
    yield threads
    threads.close()


async def together(threads: ServiceThreads, *calls: Callable[[], object]) -> list[object]:
    """Let calls wait behind one that takes its time, so that they form a group."""
    go_on = threading.Event()
    first = asyncio.ensure_future(threads.write(go_on.wait, 120))
    await asyncio.sleep(0)  # it is under way
    rest = [asyncio.ensure_future(threads.write(call)) for call in calls]
    await asyncio.sleep(0)
    go_on.set()
    assert await first
    return await asyncio.gather(*rest, return_exceptions=True)


async def test_a_call_s_result_and_its_exception_come_back(threads: ServiceThreads):
    assert await threads.read(int, "7") == 7
    assert await threads.write(int, "7") == 7
    for run in (threads.read, threads.write, threads.move, partial(threads.work, "org")):
        with pytest.raises(ZeroDivisionError):
            await run(divmod, 1, 0)
    assert threads.waiting() == {"write": 0, "read": 0, "move": 0, "work": 0}


async def test_a_call_alone_is_no_group(threads: ServiceThreads, groups: Groups):
    await threads.write(int)

    assert groups.committed == 0


async def test_calls_that_waited_are_committed_at_once(threads: ServiceThreads, groups: Groups):
    def fail() -> None:
        raise NotFoundError("no")

    first, failed, last = await together(threads, lambda: 1, fail, lambda: 3)

    assert (first, last) == (1, 3)
    assert isinstance(failed, NotFoundError)
    assert groups.committed == 1
    assert len(groups.threads) == 1


async def test_a_group_that_cannot_be_committed_is_done_one_by_one(threads, groups: Groups):
    runs: list[int] = []
    groups.failures = 1

    results = await together(threads, lambda: runs.append(1), lambda: runs.append(2))

    assert results == [None, None]
    assert runs == [1, 2, 1, 2]
    assert groups.committed == 0


async def test_a_call_that_the_database_fails_does_not_take_the_others_with_it(threads, groups):
    def fail() -> None:
        raise ServiceUnavailableError("the disk is full")

    first, failed = await together(threads, lambda: 1, fail)

    assert first == 1
    assert isinstance(failed, ServiceUnavailableError)
    assert groups.committed == 0


async def test_a_blob_store_that_does_not_answer_takes_no_group_with_it(threads, groups: Groups):
    runs: list[int] = []
    unanswered = KeptFiles(fault="it is down")

    first, failed, last = await together(
        threads, lambda: runs.append(1), lambda: unanswered.require("1.0.0"), lambda: runs.append(2)
    )

    assert (first, last, runs) == (None, None, [1, 2])
    assert isinstance(failed, ApiError)
    assert (failed.code, failed.status) == ("service_unavailable", 503)
    assert groups.committed == 1


async def test_a_group_whose_commit_nobody_knows_the_end_of_is_not_done_again(threads, groups):
    runs: list[int] = []
    groups.failures, groups.failure = 1, OutcomeUnknownError

    results = await together(threads, lambda: runs.append(1), lambda: runs.append(2))

    assert [type(each) for each in results] == [OutcomeUnknownError] * 2
    assert runs == [1, 2]


async def test_a_call_that_another_transaction_stood_in_the_way_of_is_done_again(threads, groups):
    ways = iter([TransactionConflictError("busy")] * (TRIES - 1))

    def write() -> str:
        for way in ways:
            raise way
        return "done"

    assert await threads.write(write) == "done"


async def test_a_call_that_is_always_stood_in_the_way_of_is_given_up(threads: ServiceThreads):
    runs: list[int] = []

    def write() -> None:
        runs.append(1)
        raise TransactionConflictError("busy")

    with pytest.raises(TransactionConflictError):
        await threads.write(write)
    assert len(runs) == TRIES


async def test_a_database_that_is_gone_is_asked_once_more_and_not_by_every_call(threads):
    runs: list[int] = []

    def write() -> None:
        runs.append(1)
        raise StoreUnreachableError("gone")

    results = await together(threads, write, write, write)

    assert [type(each) for each in results] == [StoreUnreachableError] * 3
    assert len(runs) == 2  # in the group, and by itself


async def test_a_lock_that_a_group_waited_for_is_not_waited_for_by_each_call(threads, groups):
    runs: list[int] = []

    def write() -> None:
        runs.append(1)
        raise StoreBusyError("busy")

    results = await together(threads, write, write, write)

    assert [type(each) for each in results] == [StoreBusyError] * 3
    assert len(runs) == 1


async def test_a_lock_that_a_call_by_itself_waited_for_is_not_waited_for_by_the_rest(
    threads: ServiceThreads, groups: Groups
):
    groups.failures = 1
    runs: list[int] = []

    def write() -> None:
        runs.append(1)
        if len(runs) > 3:  # all were in the group
            raise StoreBusyError("busy")

    results = await together(threads, write, write, write)

    assert [type(each) for each in results] == [StoreBusyError] * 3
    assert len(runs) == 4


async def test_a_call_by_itself_is_told_before_the_next_one_ends(
    threads: ServiceThreads, groups: Groups
):
    groups.failures = 1
    go_on, runs = threading.Event(), []

    def wait_by_itself() -> bool:
        runs.append(1)
        return len(runs) == 1 or go_on.wait(120)

    hold = threading.Event()
    head = asyncio.ensure_future(threads.write(hold.wait, 120))
    await asyncio.sleep(0)  # it is under way
    first, second = (asyncio.ensure_future(threads.write(call)) for call in (int, wait_by_itself))
    await asyncio.sleep(0)
    hold.set()

    await asyncio.gather(head, first)
    go_on.set()
    assert await second


async def test_a_call_that_raises_what_no_future_takes_is_told_so(threads: ServiceThreads):
    for run in (threads.write, threads.read, threads.move, partial(threads.work, "org")):
        with pytest.raises(RuntimeError, match="StopIteration"):
            await asyncio.wait_for(run(next, iter(())), 120)
    assert await threads.write(int) == 0


async def test_a_call_that_nobody_waits_for_any_more_is_not_begun(threads: ServiceThreads):
    go_on, runs = threading.Event(), []
    first = asyncio.ensure_future(threads.write(go_on.wait, 120))
    await asyncio.sleep(0)  # it is under way
    second = asyncio.ensure_future(threads.write(runs.append, 1))
    await asyncio.sleep(0)
    second.cancel()
    go_on.set()

    assert await first
    await threads.write(int)
    assert runs == []


async def test_what_takes_minutes_keeps_no_other_waiting(threads: ServiceThreads):
    go_on = threading.Event()
    working = [
        asyncio.ensure_future(threads.work(str(n), go_on.wait, 120)) for n in range(WORKERS + 1)
    ]
    await asyncio.sleep(0)

    for run in (threads.read, threads.write, threads.move):
        assert await run(int, "7") == 7
    go_on.set()
    assert await asyncio.gather(*working) == [True] * (WORKERS + 1)


async def test_a_reader_waits_for_no_writer(threads: ServiceThreads):
    go_on = threading.Event()
    write = asyncio.ensure_future(threads.write(go_on.wait, 120))
    await asyncio.sleep(0)

    assert await threads.read(int, "7") == 7
    go_on.set()
    assert await write


async def test_more_than_may_wait_are_turned_away_at_once(groups: Groups, monkeypatch):
    monkeypatch.setattr("octomil.control.threads.MAX_GROUP", 1)
    threads = ServiceThreads(groups, max_waiting=2)
    go_on = threading.Event()
    waiting = [asyncio.ensure_future(threads.write(go_on.wait, 120)) for _ in range(3)]
    await asyncio.sleep(0)

    with pytest.raises(ServiceUnavailableError) as refusal:
        await threads.write(int)
    go_on.set()

    assert refusal.value.details == {"retry_after_s": 1}
    assert await asyncio.gather(*waiting) == [True] * 3
    assert await threads.write(int) == 0
    threads.close()


async def test_two_owners_of_much_work_leave_room_for_another_s(groups: Groups):
    threads = ServiceThreads(groups)
    go_on = threading.Event()
    much = [
        asyncio.ensure_future(threads.work(whose, go_on.wait, 120))
        for whose in ("a", "b")
        for _ in range(600)
    ]
    await asyncio.sleep(0)
    other = asyncio.ensure_future(threads.work("c", int, "7"))
    await asyncio.sleep(0)
    go_on.set()

    assert await other == 7
    done = await asyncio.gather(*much, return_exceptions=True)
    refused = [each for each in done if isinstance(each, ServiceUnavailableError)]
    assert done.count(True) + len(refused) == 1200
    assert done.count(True) == 2 * MAX_WORK_OF_ONE + WORKERS
    threads.close()


async def test_too_much_work_is_not_said_to_wait_for_the_database(groups: Groups):
    threads = ServiceThreads(groups, max_waiting=1)
    go_on = threading.Event()
    waiting = [
        asyncio.ensure_future(threads.work(str(owner), go_on.wait, 120))
        for owner in range(WORKERS + 1)
    ]
    await asyncio.sleep(0)

    with pytest.raises(ServiceUnavailableError, match="wait for files to be looked through"):
        await threads.work("another", int)
    go_on.set()

    assert await asyncio.gather(*waiting) == [True] * (WORKERS + 1)
    threads.close()


async def test_after_the_end_a_call_is_told_so(threads: ServiceThreads):
    threads.close()

    with pytest.raises(ServiceUnavailableError, match="stopping"):
        await threads.write(int)
