"""Group commit: calls that write take turns in one thread, and those that wait are done together.

The disk takes milliseconds to confirm anything, and confirms a hundred rows as fast as one.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from threading import Event
from typing import Any, Final, TypeVar

from octomil.control.ports import (
    OutcomeUnknownError,
    StoreBusyError,
    StoreUnreachableError,
    TransactionConflictError,
)
from octomil.errors import ServiceUnavailableError

TRIES: Final = 5  # of a call by itself whose transaction another one stood in the way of

Call = Callable[[], Any]
_Waiting = tuple[Call, "asyncio.Future[Any]"]
_Outcome = tuple[Any, Exception | None]
_ArgT = TypeVar("_ArgT")
_ResultT = TypeVar("_ResultT")


class Writer:
    """One thread, and the calls that wait for it; these are its loop's.

    Args:
        group: begins a group of transactions, as `Store.group` does.
        max_group: calls that are committed at once.
    """

    def __init__(self, group: Callable[[], AbstractContextManager[None]], max_group: int) -> None:
        self._group = group
        self._max_group = max_group
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="octomil-writer")
        self._waiting: list[_Waiting] = []
        self._work: asyncio.Task[None] | None = None
        self._is_closing = Event()

    async def run(self, call: Call) -> Any:
        """Run a call, and return what it returns once that is committed."""
        done: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting.append((call, done))
        if self._work is None:
            self._work = asyncio.create_task(self._empty(), name="write")
        return await done

    def close(self) -> None:
        """Let the call under way end, and no other begin."""
        self._is_closing.set()
        self._thread.shutdown(cancel_futures=True)

    async def _empty(self) -> None:
        """Work until nobody waits."""
        try:
            while waiting := [each for each in self._waiting if not each[1].done()]:
                self._waiting, taken = waiting, waiting[: self._max_group]
                try:
                    await self._carry_out(taken)
                except Exception as error:  # noqa: BLE001 - raised again where the calls were made
                    for _, done in taken:
                        _tell(done, (None, error))
        finally:
            for _, done in self._waiting:
                done.cancel()  # where this was; nobody is left waiting for nothing
            self._waiting.clear()
            self._work = None

    async def _carry_out(self, taken: list[_Waiting]) -> None:
        """Run calls as a group; where nothing of it was committed, each by itself."""
        outcomes = await self._as_group([call for call, _ in taken]) if len(taken) > 1 else None
        if outcomes is None:
            await self._one_by_one(taken)
            return
        for (_, done), outcome in zip(taken, outcomes, strict=True):
            _tell(done, outcome)

    async def _as_group(self, calls: list[Call]) -> list[_Outcome] | None:
        """Return what calls returned or raised; None if nothing of it was committed."""
        try:
            return await self._in_thread(self._run_together, calls)
        except (OutcomeUnknownError, StoreBusyError) as error:
            # To begin again could be to do it twice, or to wait for as long as the group has.
            return [(None, error)] * len(calls)
        except ServiceUnavailableError:
            return None  # whose fault that was is not known

    def _run_together(self, calls: list[Call]) -> list[_Outcome]:
        with self._group():
            return [_attempt(call) for call in calls]

    async def _one_by_one(self, taken: list[_Waiting]) -> None:
        """Run calls, until nothing can be begun or the end has come; tell of each as it ends."""
        hopeless: Exception | None = None
        for call, done in taken:
            if self._is_closing.is_set():
                hopeless = ServiceUnavailableError("the server is stopping; try again in a moment")
            outcome = (None, hopeless) if hopeless else await self._in_thread(_insist, call)
            if isinstance(outcome[1], StoreUnreachableError | StoreBusyError):
                hopeless = outcome[1]
            _tell(done, outcome)

    async def _in_thread(self, work: Callable[[_ArgT], _ResultT], on: _ArgT) -> _ResultT:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work, on)


def ended(call: Callable[[], _ResultT]) -> _ResultT:
    """Return what a call returns.

    Raises:
        RuntimeError: it raised StopIteration, which a future does not take: whoever awaits it would
            wait for ever.
    """
    try:
        return call()
    except StopIteration as error:
        raise RuntimeError("a call raised StopIteration") from error


def _insist(call: Call, tries: int = TRIES) -> _Outcome:
    """Return what a call returned or raised, once no other transaction stood in its way."""
    try:
        return _attempt(call)
    except TransactionConflictError as error:
        return _insist(call, tries - 1) if tries > 1 else (None, error)
    except ServiceUnavailableError as error:
        return None, error


def _attempt(call: Call) -> _Outcome:
    """Return what a call returned, or what it raised.

    Raises:
        ServiceUnavailableError: the database failed, and with it perhaps the whole group: SQLite
            may have rolled all of it back on a full disk.
    """
    try:
        return ended(call), None
    except ServiceUnavailableError:
        raise
    except Exception as error:  # noqa: BLE001 - raised again where the call was made
        return None, error


def _tell(done: "asyncio.Future[Any]", outcome: _Outcome) -> None:
    result, error = outcome
    if done.done():
        return
    if error is None:
        done.set_result(result)
    else:
        done.set_exception(error)
