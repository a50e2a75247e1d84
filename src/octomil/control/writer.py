"""Group commit: calls that write take turns in one thread, and those that wait are done together.

The disk takes milliseconds to confirm anything, and confirms a hundred rows as fast as one.
"""

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from threading import Event
from typing import Any, Final

from octomil.control.ports import (
    OutcomeUnknownError,
    StoreUnreachableError,
    TransactionConflictError,
)
from octomil.errors import ServiceUnavailableError

TRIES: Final = 5  # of a call by itself whose transaction another one stood in the way of

Call = Callable[[], Any]
_Outcome = tuple[Any, Exception | None]


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
        self._waiting: list[tuple[Call, asyncio.Future[Any]]] = []
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
        loop = asyncio.get_running_loop()
        try:
            while waiting := [each for each in self._waiting if not each[1].cancelled()]:
                taken, self._waiting = waiting[: self._max_group], waiting[self._max_group :]
                calls = [call for call, _ in taken]
                try:
                    outcomes = await loop.run_in_executor(self._thread, self._run_together, calls)
                except Exception as error:  # noqa: BLE001 - raised again where the calls were made
                    outcomes = [(None, error)] * len(calls)
                for (_, done), outcome in zip(taken, outcomes, strict=True):
                    _tell(done, outcome)
            self._waiting.clear()
        finally:
            self._work = None

    def _run_together(self, calls: list[Call]) -> list[_Outcome]:
        """Run calls as a group; where nothing of it was committed, each by itself."""
        if len(calls) > 1:
            try:
                with self._group():
                    return [_attempt(call) for call in calls]
            except OutcomeUnknownError as error:  # to do it again could be to do it twice
                return [(None, error)] * len(calls)
            except ServiceUnavailableError:
                pass  # whose fault that was is not known
        return list(self._one_by_one(calls))

    def _one_by_one(self, calls: list[Call]) -> Iterator[_Outcome]:
        """Run calls, until the database is gone or the end has come."""
        hopeless: Exception | None = None
        for call in calls:
            if self._is_closing.is_set():
                hopeless = ServiceUnavailableError("the server is stopping; try again in a moment")
            outcome = (None, hopeless) if hopeless else _insist(call)
            if isinstance(outcome[1], StoreUnreachableError):
                hopeless = outcome[1]
            yield outcome


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
        return call(), None
    except ServiceUnavailableError:
        raise
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
