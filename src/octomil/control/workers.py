"""Threads for what may take minutes, shared out among organisations."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from threading import Lock
from typing import Any, TypeVar

from octomil.control.fair_line import FairLine
from octomil.control.writer import ended
from octomil.errors import ServiceUnavailableError

_RETRY_AFTER_S = 30

ResultT = TypeVar("ResultT")


class FairWorkers:
    """Runs calls of several owners in a few threads, whose turn it is by `FairLine`.

    Args:
        workers: how many threads.
        most_waiting: calls of one owner.
        name: how the threads' names begin.
    """

    def __init__(self, workers: int, most_waiting: int, name: str) -> None:
        self._threads = ThreadPoolExecutor(workers, thread_name_prefix=name)
        self._line = FairLine[_Work](workers, most_waiting)
        self._lock = Lock()
        self._is_closed = False

    def submit(self, owner: str, call: Callable[[], ResultT]) -> "Future[ResultT]":
        """Let a call wait for its owner's turn; cancelling its future takes it out of the line.

        Raises:
            ServiceUnavailableError: too much of its owner's waits already, or the end has come.
        """
        work = _Work(call)
        with self._lock:
            if self._is_closed:
                raise ServiceUnavailableError("the server is stopping; try again in a moment")
            if not self._line.add(owner, work):
                raise ServiceUnavailableError(
                    "too much of the organisation's waits already to be looked through; try again "
                    "once some of it is done",
                    {"retry_after_s": _RETRY_AFTER_S},
                )
            self._begin()
        work.future.add_done_callback(partial(self._drop_cancelled, owner, work))
        return work.future

    def close(self) -> None:
        """Let the calls under way end, and none that waits begin; then there are no threads."""
        with self._lock:
            self._is_closed = True
            waiting = self._line.clear()
        for each in waiting:
            each.future.cancel()
        self._threads.shutdown()

    def _begin(self) -> None:
        """Begin what may; the lock is held."""
        while not self._is_closed and (begun := self._line.begin()) is not None:
            self._threads.submit(self._run, *begun)

    def _run(self, owner: str, work: "_Work") -> None:
        work.run()
        with self._lock:
            self._line.end(owner)
            self._begin()

    def _drop_cancelled(self, owner: str, work: "_Work", future: "Future[Any]") -> None:
        if future.cancelled():
            with self._lock:
                self._line.drop(owner, work)


class _Work:
    """A call, and who waits for it."""

    def __init__(self, call: Callable[[], Any]) -> None:
        self._call = call
        self.future: Future[Any] = Future()

    def run(self) -> None:
        """Make the call unless nobody waits any more, and tell what came of it, whatever it is."""
        if not self.future.set_running_or_notify_cancel():
            return
        try:
            result = ended(self._call)
        except BaseException as error:  # noqa: BLE001 - raised again where the call was made
            self.future.set_exception(error)
        else:
            self.future.set_result(result)
