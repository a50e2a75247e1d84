"""Where services run: off the event loop, one hop away, writers apart from readers.

A service call is one plain function; the API and the jobs hand it over here. All that write take
turns in one thread, so that a call which waits for the disk keeps no reader waiting. Those that
wait meanwhile are done together and committed at once (group commit): the disk takes milliseconds
to confirm anything, and confirms a hundred rows as fast as one.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from functools import partial
from typing import Any, ParamSpec, TypeVar

from octomil.errors import ServiceUnavailableError

MAX_WAITING = 1000
MAX_GROUP = 64
READERS = 4
MOVERS = 4

P = ParamSpec("P")
ResultT = TypeVar("ResultT")

_Call = Callable[[], Any]
_Outcome = tuple[Any, Exception | None]


class ServiceThreads:
    """Runs service calls for code that must not block; used from one event loop.

    Args:
        group: begins a group of transactions, as `Store.group` does.
        readers: threads for calls that only read.
        max_waiting: calls that may wait in each of the two lines.
    """

    def __init__(
        self,
        group: Callable[[], AbstractContextManager[None]],
        readers: int = READERS,
        max_waiting: int = MAX_WAITING,
    ) -> None:
        self._readers = ThreadPoolExecutor(readers, thread_name_prefix="octomil-reader")
        self._movers = ThreadPoolExecutor(MOVERS, thread_name_prefix="octomil-mover")
        self._writer = _Writer(group)
        self._calls = {"write": 0, "read": 0, "move": 0}
        self._most = {
            "write": MAX_GROUP + max_waiting,
            "read": readers + max_waiting,
            "move": MOVERS + max_waiting,
        }

    async def write(self, call: Callable[P, ResultT], *args: P.args, **kwargs: P.kwargs) -> ResultT:
        """Run a call that writes, and return what it returns once that is committed.

        It touches nothing but the store and what is in memory, and must bear being begun again:
        when the commit of its group fails, each call is tried by itself.

        Raises:
            ServiceUnavailableError: too many wait already.
        """
        self._enter("write")
        try:
            result: ResultT = await self._writer.run(partial(call, *args, **kwargs))
            return result
        finally:
            self._calls["write"] -= 1

    async def read(self, call: Callable[P, ResultT], *args: P.args, **kwargs: P.kwargs) -> ResultT:
        """Run a call that only reads, and return what it returns.

        Raises:
            ServiceUnavailableError: too many wait already.
        """
        return await self._run("read", self._readers, partial(call, *args, **kwargs))

    async def move(self, call: Callable[P, ResultT], *args: P.args, **kwargs: P.kwargs) -> ResultT:
        """Run a call that moves the bytes of files, which may take long, and return its result.

        Its threads are no others', so that a slow disk keeps nobody from reading.

        Raises:
            ServiceUnavailableError: too many wait already.
        """
        return await self._run("move", self._movers, partial(call, *args, **kwargs))

    def waiting(self) -> dict[str, int]:
        """Return how many calls of each kind are under way or wait."""
        return dict(self._calls)

    def close(self) -> None:
        """Let the calls under way end; then there are no threads any more."""
        self._writer.close()
        self._readers.shutdown()
        self._movers.shutdown()

    async def _run(
        self, kind: str, threads: ThreadPoolExecutor, call: Callable[[], ResultT]
    ) -> ResultT:
        self._enter(kind)
        try:
            return await asyncio.get_running_loop().run_in_executor(threads, call)
        finally:
            self._calls[kind] -= 1

    def _enter(self, kind: str) -> None:
        if self._calls[kind] >= self._most[kind]:
            raise ServiceUnavailableError(
                "too many requests wait for the database; try again in a second",
                {"retry_after_s": 1},
            )
        self._calls[kind] += 1


class _Writer:
    """One thread, and the calls that wait for it; these are its loop's."""

    def __init__(self, group: Callable[[], AbstractContextManager[None]]) -> None:
        self._group = group
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="octomil-writer")
        self._waiting: list[tuple[_Call, asyncio.Future[Any]]] = []
        self._work: asyncio.Task[None] | None = None

    async def run(self, call: _Call) -> Any:
        done: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting.append((call, done))
        if self._work is None:
            self._work = asyncio.create_task(self._empty(), name="write")
        return await done

    def close(self) -> None:
        self._thread.shutdown()

    async def _empty(self) -> None:
        """Work until nobody waits."""
        loop = asyncio.get_running_loop()
        try:
            while self._waiting:
                taken, self._waiting = self._waiting[:MAX_GROUP], self._waiting[MAX_GROUP:]
                calls = [call for call, _ in taken]
                try:
                    outcomes = await loop.run_in_executor(self._thread, self._run_together, calls)
                except Exception as error:  # noqa: BLE001 - raised again where the calls were made
                    outcomes = [(None, error)] * len(calls)
                for (_, done), outcome in zip(taken, outcomes, strict=True):
                    _tell(done, outcome)
        finally:
            self._work = None

    def _run_together(self, calls: list[_Call]) -> list[_Outcome]:
        """Run calls as a group; where that cannot be, each by itself."""
        if len(calls) > 1:
            try:
                with self._group():
                    return [_attempt(call, in_group=True) for call in calls]
            except ServiceUnavailableError:
                pass  # nothing of the group was committed, and whose fault that was is not known
        return [_attempt(call) for call in calls]


def _attempt(call: _Call, *, in_group: bool = False) -> _Outcome:
    """Return what a call returned, or what it raised.

    Raises:
        ServiceUnavailableError: the database failed, and with it perhaps the whole group: SQLite
            may have rolled all of it back on a full disk.
    """
    try:
        return call(), None
    except ServiceUnavailableError as error:
        if in_group:
            raise
        return None, error
    except Exception as error:  # noqa: BLE001 - raised again where the call was made
        return None, error


def _tell(done: "asyncio.Future[Any]", outcome: _Outcome) -> None:
    result, error = outcome
    if done.cancelled():
        return
    if error is None:
        done.set_result(result)
    else:
        done.set_exception(error)
