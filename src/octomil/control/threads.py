"""Where services run: off the event loop, one hop away, writers apart from readers.

A service call is one plain function; the API and the jobs hand it over here. Calls of `write` take
turns in one thread (`control.writer`), so that a call which waits for the disk keeps no reader
waiting. The bytes of files have threads of their own, and so has what takes minutes, such as
looking through a file: else four uploads would hold up every download. Organisations share those
fairly (`control.fair_line`). What such work writes, it writes
where it is, in short transactions that wait for the database's turn as the writer's do.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from threading import local
from typing import Any, ParamSpec, TypeVar

from octomil.control.disk_faults import told_of_disk
from octomil.control.workers import FairWorkers
from octomil.control.writer import Writer, ended
from octomil.errors import ServiceUnavailableError

MAX_WAITING = 1000
MAX_WORK_OF_ONE = 50
MAX_GROUP = 64
READERS = 4
MOVERS = 4
WORKERS = 4
_WAITED_FOR = {
    "write": "the database",
    "read": "the database",
    "move": "the disk",
    "work": "files to be looked through",
}
NOBODYS = ""
"""Whose work it is that no organisation asked for."""

_log = logging.getLogger("octomil.control")

P = ParamSpec("P")
AnswerT = TypeVar("AnswerT")
ResultT = TypeVar("ResultT")


class ServiceThreads:
    """Runs service calls for code that must not block; used from one event loop.

    Args:
        group: begins a group of transactions, as `Store.group` does.
        readers: threads for calls that only read.
        max_waiting: calls that may wait in each line; for what takes minutes at most half as many,
            and `MAX_WORK_OF_ONE`, of one organisation's.
    """

    def __init__(
        self,
        group: Callable[[], AbstractContextManager[None]],
        readers: int = READERS,
        max_waiting: int = MAX_WAITING,
    ) -> None:
        self._readers = ThreadPoolExecutor(readers, thread_name_prefix="octomil-reader")
        self._movers = ThreadPoolExecutor(MOVERS, thread_name_prefix="octomil-mover")
        most_of_one = min(MAX_WORK_OF_ONE, max(1, max_waiting // 2))
        self._workers = FairWorkers(WORKERS, most_of_one, "octomil-worker")
        self._writer = Writer(group, MAX_GROUP)
        self._here = _Thread()
        self._calls = {"write": 0, "read": 0, "move": 0, "work": 0}
        self._most = {
            "write": MAX_GROUP + max_waiting,
            "read": readers + max_waiting,
            "move": MOVERS + max_waiting,
            "work": WORKERS + max_waiting,
        }

    async def write(self, call: Callable[P, ResultT], *args: P.args, **kwargs: P.kwargs) -> ResultT:
        """Run a call that writes, and return what it returns once that is committed.

        It touches nothing but the store and what is in memory, and must bear being begun again:
        when its group comes to nothing, each call is tried by itself. What the service does beside
        that, it does after the commit (`Transaction.after_commit`).

        Raises:
            ServiceUnavailableError: too many wait already.
        """
        if self._here.afterwards is not None:
            return call(*args, **kwargs)
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
        if self._here.afterwards is not None:
            return call(*args, **kwargs)
        return await self._run("read", self._readers, partial(call, *args, **kwargs))

    async def afterwards(self, call: Callable[[], object]) -> None:
        """Run a call that writes nothing, once what was written before it is committed.

        If it fails, that is logged: what was committed stays so, and is to be answered.
        """
        if self._here.afterwards is not None:
            self._here.afterwards.append(call)
        else:
            await self._follow(call)

    async def move(self, call: Callable[P, ResultT], *args: P.args, **kwargs: P.kwargs) -> ResultT:
        """Run a call that reads or writes a piece of a file, and return its result.

        Its threads are no others', so that a slow disk keeps nobody from reading rows.

        Raises:
            ServiceUnavailableError: too many wait already, or the disk cannot be written.
        """
        with _told_of_disk():
            return await self._run("move", self._movers, partial(call, *args, **kwargs))

    async def work(
        self, whose: str, call: Callable[P, ResultT], *args: P.args, **kwargs: P.kwargs
    ) -> ResultT:
        """Run a call that may take minutes, and return its result; it keeps no other kind waiting.

        It is done for the organisation `whose`, or for `NOBODYS`; they take turns.

        Raises:
            ServiceUnavailableError: too many wait already, or the disk cannot be written.
        """
        self._enter("work")
        try:
            with _told_of_disk():
                work = self._workers.submit(whose, partial(call, *args, **kwargs))
                return await asyncio.wrap_future(work)
        finally:
            self._calls["work"] -= 1

    async def write_as_one(
        self,
        handler: Callable[[], Coroutine[Any, Any, AnswerT]],
        within: Callable[[Callable[[], AnswerT]], ResultT],
    ) -> ResultT:
        """Run a coroutine in the thread that writes, all that it writes in one transaction.

        Args:
            handler: begins the coroutine, again if need be. It awaits nothing but calls of `write`,
                `read` and `afterwards`; those of the first two are made at once, in the same
                thread, and so it ends without ever being suspended.
            within: a call that writes; is given what runs the coroutine, and runs it or not.

        Raises:
            ServiceUnavailableError: too many wait already.
        """
        done, afterwards = await self.write(self._as_one, handler, within)
        for call in afterwards:
            await self._follow(call)
        return done

    def _as_one(
        self,
        handler: Callable[[], Coroutine[Any, Any, AnswerT]],
        within: Callable[[Callable[[], AnswerT]], ResultT],
    ) -> tuple[ResultT, list[Callable[[], object]]]:
        afterwards: list[Callable[[], object]] = []
        self._here.afterwards = afterwards
        try:
            return within(lambda: _run_through(handler())), afterwards
        finally:
            self._here.afterwards = None

    def waiting(self) -> dict[str, int]:
        """Return how many calls of each kind are under way or wait."""
        return dict(self._calls)

    def close(self) -> None:
        """Let the calls under way end, and none that waits begin; then there are no threads."""
        self._writer.close()
        for threads in (self._readers, self._movers):
            threads.shutdown(cancel_futures=True)
        self._workers.close()

    async def _follow(self, call: Callable[[], object]) -> None:
        try:
            await self.read(call)
        except Exception:  # noqa: BLE001 - logged, and the change that it follows is made already
            _log.exception("%s failed after what it follows was committed", call)

    async def _run(
        self, kind: str, threads: ThreadPoolExecutor, call: Callable[[], ResultT]
    ) -> ResultT:
        self._enter(kind)
        try:
            return await asyncio.get_running_loop().run_in_executor(threads, ended, call)
        finally:
            self._calls[kind] -= 1

    def _enter(self, kind: str) -> None:
        if self._calls[kind] >= self._most[kind]:
            raise ServiceUnavailableError(
                f"too many requests wait for {_WAITED_FOR[kind]}; try again in a second",
                {"retry_after_s": 1},
            )
        self._calls[kind] += 1


@contextmanager
def _told_of_disk() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        told = told_of_disk(error)
        if told is None:
            raise
        raise ServiceUnavailableError(told) from error


class _Thread(local):
    """What a thread is at: what is to follow the coroutine that it runs, if it runs one."""

    afterwards: list[Callable[[], object]] | None = None


def _run_through(coroutine: Coroutine[Any, Any, AnswerT]) -> AnswerT:
    """Run a coroutine to its end in this thread.

    Raises:
        RuntimeError: it waits for something.
    """
    try:
        coroutine.send(None)
    except StopIteration as end:
        answer: AnswerT = end.value
        return answer
    coroutine.close()
    raise RuntimeError(f"{coroutine!r} awaits more than calls that write or read")
