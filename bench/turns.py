"""Actors that take turns: each in a thread, of which one runs at a time, from stop to stop.

Which one goes on is for whoever resumes them, so that with the same draws everything happens in the
same order. An actor that is killed ends at its stop, as its process would: what it had begun there
is undone.
"""

from collections.abc import Callable
from threading import Lock, Thread, local

from bench.process import BenchError

BEGUN = "begun"

_PATIENCE_S = 120.0
"""Only ever spent where an actor waits for another one that is not resumed."""


class Killed(BaseException):
    """The end of an actor; no handler of errors takes it for one."""


class Actor:
    """Something that is done bit by bit, in its own thread.

    Args:
        work: what; it passes stops.

    Attributes:
        at: the stop that it waits at.
        is_over: whether it came to its end, or was killed.
    """

    def __init__(self, work: Callable[[], None]) -> None:
        self.at = BEGUN
        self.is_over = False
        self._work = work
        self._error: BaseException | None = None
        self._is_killed = False
        self._go, self._back = _closed(), _closed()
        self._thread = Thread(target=self._run, daemon=True)
        self._thread.start()

    def resume(self) -> None:
        """Let it go on to its next stop, or its end.

        Raises:
            BenchError: it came to neither.
            Exception: what it failed by.
        """
        self._go.release()
        if not self._back.acquire(timeout=_PATIENCE_S):
            raise BenchError(f"an actor does not come from {self.at!r} to another stop")
        if self._error is not None:
            raise self._error

    def kill(self) -> None:
        """End it where it is."""
        if not self.is_over:
            self._is_killed = True
            self.resume()
        self._thread.join(_PATIENCE_S)

    def stop(self, at: str) -> None:
        """Wait to be resumed; called in its own thread.

        Raises:
            Killed: it is not to go on.
        """
        self.at = at
        if not self._is_killed:
            self._back.release()
            self._go.acquire()
        if self._is_killed:
            raise Killed

    def _run(self) -> None:
        _here.actor = self
        self._go.acquire()
        try:
            if not self._is_killed:
                self._work()
        except Killed:
            pass
        except BaseException as error:  # noqa: BLE001 - raised again where it was resumed
            self._error = error
        self.is_over = True
        self._back.release()


class _Here(local):
    """Whose thread this is."""

    actor: Actor | None = None


_here = _Here()


def present_actor() -> Actor | None:
    """Return the actor whose thread this is; None in any other thread."""
    return _here.actor


def _closed() -> Lock:
    """Return a lock that whoever acquires it first waits for."""
    made = Lock()
    made.acquire()
    return made
