"""Ending what a device waits for as soon as it is told to stop."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from queue import SimpleQueue
from threading import Event, Thread
from typing import NoReturn, TypeVar

ResultT = TypeVar("ResultT")


class StoppedError(Exception):
    """The device was told to stop meanwhile."""


class Stop(Event):
    """Tells a loop to stop, and whatever waits in it for something else."""

    def __init__(self) -> None:
        super().__init__()
        self._waiting: set[Callable[[], None]] = set()

    def set(self) -> None:
        """Tell it; may be called in any thread, and by a handler of signals."""
        super().set()
        for tell in tuple(self._waiting):
            tell()

    @contextmanager
    def telling(self, tell: Callable[[], None]) -> Iterator[None]:
        """Have something called when it is told, or was before, as long as the block lasts."""
        self._waiting.add(tell)
        try:
            if self.is_set():
                tell()
            yield
        finally:
            self._waiting.discard(tell)


def unless_stopped(stop: Stop, call: Callable[[], ResultT]) -> ResultT:
    """Return what a call returns, or raise what it raises.

    It is made in a thread of its own, which nobody waits for any more when the device stops: there
    is no way to end a read that is under way, and the process's end closes the connection.

    Raises:
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

    Thread(target=make, name="waits", daemon=True).start()
    with stop.telling(lambda: outcomes.put(partial(_raise, StoppedError()))):
        return outcomes.get()()


def _raise(error: BaseException) -> NoReturn:
    raise error
