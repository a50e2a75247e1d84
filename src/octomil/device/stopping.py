"""Ending what a device waits for as soon as it is told to stop."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from queue import Empty, SimpleQueue
from threading import Thread, Timer
from typing import NoReturn, TypeVar

ResultT = TypeVar("ResultT")


class StoppedError(Exception):
    """The device was told to stop meanwhile."""


class NoThreadError(Exception):
    """Nothing can be waited for beside the loop."""


class Stop:
    """Tells a loop to stop, and whatever waits in it for something else.

    No `threading.Event`: the loop may hold that one's lock when a signal interrupts it, and then a
    handler that sets it waits for ever. A `SimpleQueue` may be put into at any moment.
    """

    def __init__(self) -> None:
        self._is_set = False
        self._waiting: set[Callable[[], None]] = set()

    def is_set(self) -> bool:
        """Tell whether it was told."""
        return self._is_set

    def set(self) -> None:
        """Tell it; may be called in any thread, and by a handler of signals."""
        self._is_set = True
        for tell in tuple(self._waiting):
            tell()

    def wait(self, timeout: float | None = None) -> bool:
        """Return when it is told, or `timeout` seconds are over; whether it was told."""
        told: SimpleQueue[None] = SimpleQueue()
        with self.telling(partial(told.put, None)), suppress(Empty):
            told.get(timeout=timeout)
        return self._is_set

    @contextmanager
    def telling(self, tell: Callable[[], None]) -> Iterator[None]:
        """Have something called when it is told, or was before, as long as the block lasts."""
        self._waiting.add(tell)
        try:
            if self._is_set:
                tell()
            yield
        finally:
            self._waiting.discard(tell)


def unless_stopped(stop: Stop, call: Callable[[], ResultT]) -> ResultT:
    """Return what a call returns, or raise what it raises.

    It is made in a thread of its own, which nobody waits for any more when the device stops: there
    is no way to end a read that is under way, and the process's end closes the connection.

    Raises:
        NoThreadError: the machine has no thread to spare.
        StoppedError: the device was told to stop first.
    """
    outcomes: SimpleQueue[Callable[[], ResultT]] = SimpleQueue()

    def make() -> None:
        try:
            result = call()
        except BaseException as error:  # noqa: BLE001 - raised where it is waited for
            outcomes.put(partial(_raise, error))
        else:
            outcomes.put(lambda: result)

    _start(Thread(target=make, name="waits", daemon=True))
    with stop.telling(lambda: outcomes.put(partial(_raise, StoppedError()))):
        return outcomes.get()()


@contextmanager
def stop_after(seconds: float) -> Iterator[Stop]:
    """Yield what is told to stop when so many seconds are over, unless the block ends before.

    Raises:
        NoThreadError: the machine has no thread to spare.
    """
    stop = Stop()
    timer = Timer(seconds, stop.set)
    timer.daemon = True
    _start(timer)
    try:
        yield stop
    finally:
        timer.cancel()


def _start(thread: Thread) -> None:
    try:
        thread.start()
    except RuntimeError as error:
        raise NoThreadError(str(error)) from error


def _raise(error: BaseException) -> NoReturn:
    raise error
