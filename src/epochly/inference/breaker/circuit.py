"""`CircuitBreaker`: the state machine and its lock.

A closed breaker takes no lock for a success: the outcome is one append to a bounded deque, which
is atomic. Everything else is rare and happens under the lock. There is no timer: what time alone
would change is settled by whoever looks next.
"""

import logging
import random as random_module
import time
from collections import deque
from collections.abc import Awaitable, Callable
from itertools import takewhile
from threading import Lock
from typing import ParamSpec, TypeVar

from epochly.errors import CircuitOpenError
from epochly.inference.breaker.guard import Guard, TimedGuard
from epochly.inference.breaker.policy import BreakerPolicy, any_exception
from epochly.inference.breaker.states import BreakerSnapshot, BreakerState, Permit, Transition

P = ParamSpec("P")
T = TypeVar("T")

_LOG = logging.getLogger(__name__)

_BY_HAND = (BreakerState.FORCED_OPEN, BreakerState.DISABLED)


class CircuitBreaker:
    """Stop calling what keeps failing; after a while let a few probes find out if it recovered.

    - *closed* admits every call. Enough failures, in a row or by rate, open it.
    - *open* admits none. When the recovery time is over, the next call finds it half open.
    - *half open* admits `half_open_probes` probes and no more: all succeed and it closes, one
      fails or does not return in time and it opens for twice as long. So it does when it opens
      again before it has been closed for as long as it had been open.
    - *forced open* and *disabled* are set by hand and left by :meth:`reset` alone. A disabled
      breaker admits every call and still shows what it sees.

    A call that was cancelled, or that failed by its caller's fault, says nothing: it is not
    counted, and a probe's place is given back. Breakers are safe to share between threads and
    tasks; use one for each thing that fails on its own.

    Args:
        name: what the breaker protects, for messages and metrics.
        policy: its thresholds.
        is_failure: says whether an exception speaks against the callee. By default every
            `Exception` does; cancellation, `GeneratorExit` and `KeyboardInterrupt` never do.
        clock: monotonic seconds.
        random: draws a number from 0 to 1, for jitter.

    Attributes:
        shared_permit: the one permit of all calls while the breaker is closed or disabled; None
            while :meth:`allow` decides about each.

    Example:
        >>> breaker = CircuitBreaker("qwen", BreakerPolicy(failure_threshold=1))
        >>> with breaker.guard():
        ...     answer = 6 * 7
        >>> breaker.trip("answers differ from the original model")
        >>> breaker.state
        <BreakerState.OPEN: 'open'>
    """

    def __init__(
        self,
        name: str = "",
        policy: BreakerPolicy | None = None,
        *,
        is_failure: Callable[[Exception], bool] = any_exception,
        clock: Callable[[], float] = time.monotonic,
        random: Callable[[], float] = random_module.random,
    ) -> None:
        self.name = name
        self.policy = policy or BreakerPolicy()
        self._slow_call_s = self.policy.slow_call_s
        self._is_failure = is_failure
        self._clock = clock
        self._random = random
        self._lock = Lock()
        self._listeners: list[Callable[[Transition], object]] = []
        self._untold: deque[Transition] = deque()
        self._generation = self._opened = self._rejected = self._reopenings = 0
        self._wait_s = self._until_s = 0.0
        self._since_s = clock()
        self._reason = ""
        self._probes: dict[Permit, float] = {}  # in flight, with the time of their admission
        self._passed = 0
        self._state = BreakerState.CLOSED
        self.shared_permit: Permit | None = self._new_permit()

    def allow(self) -> Permit | None:
        """Admit a call or refuse it. With `record_*`, this is the cheapest way through.

        Returns:
            A permit, for exactly one of :meth:`record_success`, :meth:`record_failure` and
            :meth:`release`; None: do not call.
        """
        return self.shared_permit or self._admit()

    def record_success(self, permit: Permit) -> None:
        """Count a call that went well."""
        window = permit.window
        if window is not None:
            window.append(False)
        else:
            self._settle(permit, None)

    def record_failure(self, permit: Permit, reason: str = "the call failed") -> None:
        """Count a call that failed by its callee's fault; `reason` is shown if it was a probe."""
        self._settle(permit, reason)

    def record_error(self, permit: Permit, error: BaseException) -> None:
        """Count a call that raised, unless its error says nothing about the callee."""
        if self.counts(error):
            self.record_failure(permit, f"{type(error).__name__}: {error}")
        else:
            self.release(permit)

    def release(self, permit: Permit) -> None:
        """Take back the permit of a call that says nothing: cancelled, or its caller's fault."""
        with self._lock:
            self._probes.pop(permit, None)

    def guard(self) -> Guard:
        """Return a context manager for one call, for `with` and for `async with`."""
        limit_s = self._slow_call_s
        return Guard(self) if limit_s is None else TimedGuard(self, limit_s, self._clock)

    def call(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call `function` under a guard.

        Raises:
            CircuitOpenError: the call is not admitted; `function` was not called.
        """
        if self._slow_call_s is not None:
            with self.guard():
                return function(*args, **kwargs)
        permit = self.shared_permit or self._admit()  # as a guard does, without making one
        if permit is None:
            raise self.rejection()
        try:
            result = function(*args, **kwargs)
        except BaseException as error:
            self.record_error(permit, error)
            raise
        self.record_success(permit)
        return result

    async def call_async(
        self, function: Callable[P, Awaitable[T]], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Call and await `function` under a guard; raises what :meth:`call` raises."""
        with self.guard():
            return await function(*args, **kwargs)

    def trip(self, reason: str) -> None:
        """Open at once, whatever was counted: for a wrong answer, one is enough.

        A state that was set by hand stays.
        """
        with self._lock:
            if self._state not in _BY_HAND:
                self._open(reason, self._advance())
        self._tell()

    def force_open(self, reason: str = "forced open by hand") -> None:
        """Admit no call until :meth:`reset`."""
        self._set(BreakerState.FORCED_OPEN, reason)

    def disable(self, reason: str = "disabled by hand") -> None:
        """Admit every call until :meth:`reset`, whatever fails."""
        self._set(BreakerState.DISABLED, reason)

    def reset(self, reason: str = "reset by hand") -> None:
        """Close, and forget what was counted."""
        self._set(BreakerState.CLOSED, reason)

    def on_transition(self, listener: Callable[[Transition], object]) -> None:
        """Call `listener` after each transition, in the thread that caused it, without a lock.

        What it raises is logged and reaches no caller.
        """
        self._listeners.append(listener)

    @property
    def state(self) -> BreakerState:
        """The state now."""
        state = self._state
        if state is BreakerState.CLOSED:  # which no passing of time ends: no need to wait
            return state
        with self._lock:
            self._advance()
            state = self._state
        self._tell()
        return state

    def snapshot(self) -> BreakerSnapshot:
        """Tell where the breaker stands."""
        with self._lock:
            now_s = self._advance()
            window = self._window()
            found = BreakerSnapshot(
                name=self.name,
                state=self._state,
                generation=self._generation,
                reason=self._reason,
                state_age_s=now_s - self._since_s,
                retry_after_s=self._retry_after_s(now_s),
                window_calls=len(window),
                window_failures=window.count(True),
                consecutive_failures=sum(takewhile(bool, reversed(window))),
                reopenings=self._reopenings,
                probes_in_flight=len(self._probes),
                opened_total=self._opened,
                rejected_total=self._rejected,
            )
        self._tell()
        return found

    def rejection(self) -> CircuitOpenError:
        """Make the error for a call that was not admitted."""
        with self._lock:
            retry_after_s = self._retry_after_s(self._clock())
            state, reason = self._state, self._reason
        hint = "reset() lets calls through again"
        if retry_after_s is not None:
            hint = f"try again in {retry_after_s:.1f} s"
        message = f"circuit {self.name!r} is {state.replace('_', ' ')} ({reason}); {hint}"
        return CircuitOpenError(message, retry_after_s=retry_after_s)

    def counts(self, error: BaseException) -> bool:
        """Say whether an exception speaks against the callee.

        If the judgement itself fails, the exception counts.
        """
        if not isinstance(error, Exception):
            return False
        try:
            return self._is_failure(error)
        except Exception:  # noqa: BLE001 - it must not replace the error that it judges
            _LOG.exception("circuit %r: is_failure failed", self.name)
            return True

    # The rest is called with the lock held, except `_admit`, `_settle`, `_set` and `_tell`.

    def _admit(self) -> Permit | None:
        with self._lock:
            now_s = self._advance()
            permit = self.shared_permit
            if permit is None and self._has_free_probe():
                permit = Permit(self._generation, None)
                self._probes[permit] = now_s
            if permit is None:
                self._rejected += 1
        self._tell()
        return permit

    def _settle(self, permit: Permit, failure: str | None) -> None:
        with self._lock:
            now_s = self._advance()
            if permit.window is not None:
                permit.window.append(True)
                if permit is self.shared_permit and self._state is BreakerState.CLOSED:
                    self._judge(now_s)
            elif self._probes.pop(permit, None) is None:
                pass  # of an earlier generation, or recorded before
            elif failure is not None:
                self._open(f"a probe failed: {failure}", now_s)
            else:
                self._passed += 1
                if self._passed == self.policy.half_open_probes:
                    self._enter(BreakerState.CLOSED, "every probe succeeded", now_s)
        self._tell()

    def _set(self, state: BreakerState, reason: str) -> None:
        with self._lock:
            self._reopenings, self._wait_s = 0, 0.0
            self._enter(state, reason, self._clock())
        self._tell()

    def _tell(self) -> None:
        while self._untold:
            try:
                transition = self._untold.popleft()
            except IndexError:  # another thread was faster
                return
            for listener in list(self._listeners):
                try:
                    listener(transition)
                except Exception:  # noqa: BLE001 - a listener must not break a caller
                    _LOG.exception("circuit %r: a listener failed", self.name)

    def _judge(self, now_s: float) -> None:
        reason = self.policy.reason_to_open(self._window())
        if reason is not None:
            self._open(reason, now_s)

    def _window(self) -> deque[bool]:
        """Copy the outcomes, because other threads go on appending without the lock."""
        permit = self.shared_permit
        return deque() if permit is None or permit.window is None else permit.window.copy()

    def _advance(self) -> float:
        """Make the transition that time has made due; returns the time."""
        now_s = self._clock()
        if self._state is BreakerState.OPEN and now_s >= self._until_s:
            self._enter(BreakerState.HALF_OPEN, "the recovery time is over", now_s)
        elif self._probes and now_s >= self._oldest_probe_ends_s():
            limit_s = self.policy.probe_timeout_s
            self._open(f"a probe did not return within {limit_s:g} s", now_s)
        return now_s

    def _open(self, reason: str, now_s: float) -> None:
        if self._state is BreakerState.CLOSED:
            relapsed = now_s - self._since_s < self._wait_s
            self._reopenings = self._reopenings + 1 if relapsed else 0
        elif self._state is BreakerState.HALF_OPEN:
            self._reopenings += 1
        self._wait_s = self.policy.recovery_s(self._reopenings, self._random())
        self._until_s = now_s + self._wait_s
        self._opened += 1
        self._enter(BreakerState.OPEN, reason, now_s)

    def _enter(self, state: BreakerState, reason: str, now_s: float) -> None:
        before, self._state = self._state, state
        self._generation += 1
        self._since_s, self._reason = now_s, reason
        self._probes.clear()
        self._passed = 0
        admits = state in (BreakerState.CLOSED, BreakerState.DISABLED)
        self.shared_permit = self._new_permit() if admits else None
        self._untold.append(Transition(self.name, self._generation, before, state, now_s, reason))

    def _new_permit(self) -> Permit:
        return Permit(self._generation, deque(maxlen=self.policy.window_calls))

    def _has_free_probe(self) -> bool:
        taken = self._passed + len(self._probes)
        return self._state is BreakerState.HALF_OPEN and taken < self.policy.half_open_probes

    def _oldest_probe_ends_s(self) -> float:
        return next(iter(self._probes.values())) + self.policy.probe_timeout_s

    def _retry_after_s(self, now_s: float) -> float | None:
        if self._state is BreakerState.FORCED_OPEN:
            return None
        if self._state is BreakerState.OPEN:
            return max(0.0, self._until_s - now_s)
        if self._state is BreakerState.HALF_OPEN and not self._has_free_probe():
            return max(0.0, self._oldest_probe_ends_s() - now_s)
        return 0.0
