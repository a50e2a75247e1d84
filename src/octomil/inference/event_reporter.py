"""Events on their way to the control plane, on a thread of their own: nobody waits for them."""

import atexit
import json
import logging
import os
import random
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from threading import Condition, Thread
from typing import Any
from weakref import WeakSet

from octomil.errors import (
    ApiError,
    BadRequestError,
    OctomilClientError,
    PayloadTooLargeError,
    UnprocessableError,
)
from octomil.http.retry import RETRYABLE_STATUSES, Backoff

Event = Mapping[str, Any]
"""One event, as JSON values."""

Send = Callable[[Sequence[bytes]], None]
"""Sends some events, each of them JSON; raises OctomilClientError if they did not arrive."""

_BLAMES_CONTENT = BadRequestError, UnprocessableError, PayloadTooLargeError
_BACKOFF = Backoff(attempts=16, first_s=0.5, longest_s=30.0)
_LAST_CHANCE_S = 2.0

_log = logging.getLogger("octomil.inference")


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportCounts:
    """What became of events so far.

    Attributes:
        sent: that the control plane has.
        waiting: that are yet to be sent, or under way.
        dropped: for which there was no room, or no time at the end.
        refused: that the control plane would not have, or that cannot be written as JSON.
    """

    sent: int = 0
    waiting: int = 0
    dropped: int = 0
    refused: int = 0


class EventReporter:
    """Sends events in the background, several at once, and again until they have arrived.

    `put` takes some microseconds and never fails: where too many wait, the oldest is dropped, and
    counted. An event may arrive twice, which the receiver has to notice. In a process that was
    forked a reporter begins anew, and counts its own.

    Args:
        send: sends some events.
        capacity: events that may wait.
        at_once: events that are sent together.
        linger_s: so long the first of them waits for others.
        backoff: how long to wait after a failure; from its last try on, as long as before that.
        rng: the source of jitter.
    """

    def __init__(
        self,
        send: Send,
        *,
        capacity: int = 1_000,
        at_once: int = 100,
        linger_s: float = 1.0,
        backoff: Backoff | None = None,
        rng: random.Random | None = None,
    ) -> None:
        self._send = send
        self._capacity = capacity
        self._at_once = at_once
        self._linger_s = linger_s
        self._backoff = backoff or _BACKOFF
        self._rng = rng or random.Random()
        self._is_closed = self._is_retired = self._is_stopped = False
        self._begin()
        _all.add(self)

    def _begin(self) -> None:
        """Begin with nothing: at first, and in a process that was forked.

        There nobody may ever let go of the lock, the thread is gone, and what waits is the other
        process's to send.
        """
        self._change = Condition()
        self._waiting: deque[bytes] = deque()
        self._under_way: Sequence[bytes] = ()
        self._counts = ReportCounts()
        self._thread: Thread | None = None
        self._hurries = 0
        self._is_hurried = False

    @property
    def counts(self) -> ReportCounts:
        """What became of events so far."""
        with self._change:
            return self._counted()

    def put(self, event: Event) -> None:
        """Take an event to be sent, as it is now; once closed, it is dropped."""
        written = _written(event)
        with self._change:
            if self._is_closed:
                self._counted(dropped=1)
                return
            if written is None:
                self._counted(refused=1)
                return
            if len(self._waiting) + len(self._under_way) >= self._capacity and self._waiting:
                self._waiting.popleft()
                self._counted(dropped=1)
            self._waiting.append(written)
            self._start()
            self._change.notify_all()

    def flush(self, timeout_s: float = 5.0) -> bool:
        """Wait until nothing waits any more; return False if that takes longer."""
        with self._change:
            self._is_hurried = True
            self._hurries += 1
            self._change.notify_all()
            try:
                return self._change.wait_for(self._is_idle, timeout_s)
            finally:
                self._is_hurried = False

    def close(self, timeout_s: float = 5.0) -> bool:
        """Send what waits, within a time; what is left then is dropped. Twice is harmless.

        Returns:
            Whether nothing had to be dropped here.
        """
        with self._change:
            self._is_closed = True
        is_done = self.flush(timeout_s)
        self._stop()
        return is_done

    def retire(self) -> None:
        """Have what waits sent, once, while nobody waits for it; then the thread ends."""
        with self._change:
            self._is_closed = self._is_retired = True
            self._change.notify_all()

    def _stop(self) -> None:
        """Drop what is left, and end."""
        with self._change:
            self._is_stopped = True
            self._counted(dropped=len(self._waiting) + len(self._under_way))
            self._waiting.clear()
            self._under_way = ()
            self._change.notify_all()
        atexit.unregister(self._close_at_exit)

    def _close_at_exit(self) -> None:
        self.close(_LAST_CHANCE_S)

    def _start(self) -> None:
        """Begin the thread if there is none."""
        if self._thread is not None:
            return
        thread = Thread(target=self._run, name="octomil-events", daemon=True)
        try:
            thread.start()
        except RuntimeError as error:  # no thread can be had, or Python ends: they wait, and go
            _log.warning("events cannot be sent: %s", error)
            return
        self._thread = thread
        atexit.register(self._close_at_exit)

    def _run(self) -> None:
        failures = 0
        while batch := self._next():
            try:
                refused = self._deliver(batch)
            except OctomilClientError as error:
                failures += 1
                _log.debug("%d events did not arrive: %s", len(batch), error)
                if self._is_retired:
                    break
                self._pause(failures, error)
                continue
            except Exception:  # noqa: BLE001 - a fault of ours costs these events, and no more
                _log.exception("%d events cannot be sent", len(batch))
                refused = len(batch)
            failures = 0
            self._settle(batch, refused)
        self._stop()

    def _next(self) -> Sequence[bytes]:
        """Wait for events and return some; none if it is over."""
        with self._change:
            if not self._under_way:
                self._change.wait_for(lambda: self._waiting or self._is_over())
                self._change.wait_for(self._is_due, self._linger_s)
                number = min(self._at_once, len(self._waiting))
                self._under_way = [self._waiting.popleft() for _ in range(number)]
            return () if self._is_stopped else self._under_way

    def _is_over(self) -> bool:
        return self._is_stopped or self._is_retired

    def _is_due(self) -> bool:
        is_full = len(self._waiting) >= self._at_once
        return is_full or self._is_hurried or self._is_closed or self._is_stopped

    def _is_idle(self) -> bool:
        return not self._waiting and not self._under_way

    def _deliver(self, batch: Sequence[bytes]) -> int:
        """Send events; return how many were refused, which are looked for by halves.

        Raises:
            OctomilClientError: they may arrive at another try.
        """
        try:
            self._send(batch)
        except ApiError as error:
            if error.status in RETRYABLE_STATUSES:
                raise
            if len(batch) == 1 or not isinstance(error, _BLAMES_CONTENT):
                _log.warning("%d events were refused: %s", len(batch), error)
                return len(batch)
            half = len(batch) // 2
            return self._deliver(batch[:half]) + self._deliver(batch[half:])
        return 0

    def _pause(self, failures: int, error: OctomilClientError) -> None:
        """Wait before the next try, or until somebody is in a hurry."""
        wish_s = error.details.get("retry_after_s") if isinstance(error, ApiError) else None
        delay_s = self._backoff.delay_s(
            min(failures, self._backoff.attempts - 1),
            retry_after_s=wish_s if isinstance(wish_s, int | float) else None,
            jitter=self._rng.random(),
        )
        delay_s = self._backoff.longest_s if delay_s is None else delay_s
        with self._change:
            before = self._hurries
            self._change.wait_for(lambda: self._is_over() or self._hurries != before, delay_s)

    def _settle(self, batch: Sequence[bytes], refused: int) -> None:
        with self._change:
            if self._under_way is batch:  # else it was given up meanwhile
                self._under_way = ()
                self._counted(sent=len(batch) - refused, refused=refused)
                self._change.notify_all()

    def _counted(self, *, sent: int = 0, dropped: int = 0, refused: int = 0) -> ReportCounts:
        """Add to the counts, and return them; under the lock."""
        before = self._counts
        self._counts = ReportCounts(
            sent=before.sent + sent,
            waiting=len(self._waiting) + len(self._under_way),
            dropped=before.dropped + dropped,
            refused=before.refused + refused,
        )
        return self._counts


def _written(event: Event) -> bytes | None:
    """Return an event as JSON; None if it cannot be written so."""
    try:
        return json.dumps(event, allow_nan=False, separators=(",", ":")).encode()
    except (TypeError, ValueError, RecursionError) as error:
        _log.warning("an event cannot be sent: %s", error)
        return None


_all: WeakSet[EventReporter] = WeakSet()


def _begin_in_fork() -> None:
    for reporter in _all:
        reporter._begin()  # noqa: SLF001 - of this module


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_in_fork)
