"""The queue in front of a model, and how long its turns last."""

from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter
from types import TracebackType

from octomil.batch import QueueFullError, RequestQueue

_SMOOTHING = 0.2


class Turn:
    """One turn at a model: waits for it, holds it, and notes how long it lasted.

    Args:
        turnstile: what to pass.
        note_wait: called once with the seconds in the queue, however the wait ends; not for a
            request that found the queue full, and so never stood in it.
    """

    __slots__ = ("_began", "_note_wait", "_turnstile")

    def __init__(self, turnstile: "Turnstile", note_wait: Callable[[float], object]) -> None:
        self._turnstile = turnstile
        self._note_wait = note_wait

    async def __aenter__(self) -> None:
        """Wait for the turn.

        Raises:
            QueueError: there was none to be had.
        """
        asked = perf_counter()
        try:
            await self._turnstile.queue.acquire()
        except QueueFullError:
            raise
        except BaseException:
            self._note_wait(perf_counter() - asked)
            raise
        self._began = perf_counter()
        self._note_wait(self._began - asked)

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._turnstile.queue.release()
        self._turnstile.observe(perf_counter() - self._began)


@dataclass(slots=True)
class Turnstile:
    """A model's queue and how long its turns last."""

    queue: RequestQueue
    mean_turn_s: float = 0.0

    def turn(self, note_wait: Callable[[float], object]) -> Turn:
        """Return a turn, to be taken with `async with`; `note_wait` as in `Turn`."""
        return Turn(self, note_wait)

    def observe(self, seconds: float) -> None:
        """Take in how long a turn lasted."""
        before = self.mean_turn_s or seconds
        self.mean_turn_s = before + _SMOOTHING * (seconds - before)

    def retry_after_s(self) -> float:
        """Estimate when a place in the queue will be free."""
        return min(60.0, max(1.0, self.mean_turn_s / self.queue.max_concurrency))
