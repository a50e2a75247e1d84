"""The context manager around one call, for threads and for tasks."""

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

    __slots__ = ("_breaker", "_clock", "_permit", "_started_s")

    def __init__(self, breaker: "CircuitBreaker", clock: Callable[[], float]) -> None:
        self._breaker = breaker
        self._clock = clock
        self._permit: Permit | None
        self._started_s: float

    def __enter__(self) -> Permit:
        """Admit the call.

        Raises:
            CircuitOpenError: it is not admitted.
        """
        breaker = self._breaker
        self._permit = permit = breaker.allow()
        if permit is None:
            raise breaker.rejection()
        if breaker.policy.slow_call_s is not None:
            self._started_s = self._clock()
        return permit

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Record how the call went; the exception goes on its way."""
        breaker, permit = self._breaker, self._permit
        if permit is None:
            return
        if error is None:
            limit_s = breaker.policy.slow_call_s
            if limit_s is None or self._clock() - self._started_s < limit_s:
                breaker.record_success(permit)
            else:
                breaker.record_failure(permit, f"the call took {limit_s:g} s or longer")
        elif breaker.counts(error):
            breaker.record_failure(permit, f"{type(error).__name__}: {error}")
        else:
            breaker.release(permit)

    async def __aenter__(self) -> Permit:
        """Admit the call; raises what `with` raises."""
        return self.__enter__()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Record how the call went; the exception goes on its way."""
        self.__exit__(kind, error, traceback)
