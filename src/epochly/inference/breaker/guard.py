"""The context managers around one call, for threads and for tasks."""

from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING

from epochly.inference.breaker.states import Permit

if TYPE_CHECKING:
    from epochly.inference.breaker.circuit import CircuitBreaker


class Guard:
    """Puts one call through a breaker; made by :meth:`CircuitBreaker.guard`.

    A time limit belongs inside the guard: from outside, it looks like a cancellation.
    """

    __slots__ = ("_breaker", "_permit")

    def __init__(self, breaker: "CircuitBreaker") -> None:
        self._breaker = breaker
        self._permit: Permit | None

    def __enter__(self) -> Permit:
        """Admit the call.

        Raises:
            CircuitOpenError: it is not admitted.
        """
        breaker = self._breaker
        self._permit = permit = breaker.shared_permit or breaker.allow()
        if permit is None:
            raise breaker.rejection()
        return permit

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Record how the call went; the exception goes on its way."""
        permit = self._permit
        if permit is None:
            return
        if error is not None:
            self._breaker.record_error(permit, error)
        else:
            self._breaker.record_success(permit)

    # The two below repeat the two above and `record_success`: calls cost as much as what they do.

    async def __aenter__(self) -> Permit:
        """Admit the call; raises what `with` raises."""
        breaker = self._breaker
        self._permit = permit = breaker.shared_permit or breaker.allow()
        if permit is None:
            raise breaker.rejection()
        return permit

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Record how the call went; the exception goes on its way."""
        permit = self._permit
        if permit is None:
            return
        if error is not None:
            self._breaker.record_error(permit, error)
        elif permit.window is not None:
            permit.window.append(False)
        else:
            self._breaker.record_success(permit)


class TimedGuard(Guard):
    """A guard whose call fails if it takes `limit_s` seconds or longer, although it succeeded."""

    __slots__ = ("_clock", "_limit_s", "_started_s")

    def __init__(
        self, breaker: "CircuitBreaker", limit_s: float, clock: Callable[[], float]
    ) -> None:
        super().__init__(breaker)
        self._limit_s = limit_s
        self._clock = clock
        self._started_s: float

    def __enter__(self) -> Permit:
        """Admit the call, and look at the clock; raises what every guard raises."""
        permit = super().__enter__()
        self._started_s = self._clock()
        return permit

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Record how the call went and how long it took; the exception goes on its way."""
        permit = self._permit
        if error is None and permit and self._clock() - self._started_s >= self._limit_s:
            reason = f"the call took {self._limit_s:g} s or longer"
            self._breaker.record_failure(permit, reason)
        else:
            super().__exit__(kind, error, traceback)

    async def __aenter__(self) -> Permit:
        """Admit the call, and look at the clock; raises what `with` raises."""
        return self.__enter__()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Record how the call went and how long it took; the exception goes on its way."""
        self.__exit__(kind, error, traceback)
