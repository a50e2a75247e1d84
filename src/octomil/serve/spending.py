"""A cap on what paid models may cost a day, kept across restarts and shared on a machine.

Before a paid model is asked, the most that the request can cost is set aside, so that requests at
the same time cannot exceed the cap together; afterwards the real cost takes its place. The ledger
is a file, so a thread of its own works on it: a slow disk, or another node that is writing, keeps
those waiting who spend, and nobody else.
"""

import asyncio
import logging
import math
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import ParamSpec, TypeVar

from octomil.errors import ConfigurationError, EngineUnavailableError, SpendCapReachedError
from octomil.serve.spend_ledger import Reservation, SpendLedger

_log = logging.getLogger("octomil.serve")

_LOOK_EVERY_S = 1.0  # how late it is known what other nodes did

P = ParamSpec("P")
T = TypeVar("T")


class SpendCap:
    """Lets paid models be asked while the day's cap cannot be exceeded.

    Args:
        cap_usd: US dollars a day, in UTC.
        ledger: what was spent; closed with the cap.
        now: the time in UTC.
        clock: monotonic seconds.

    Attributes:
        when_reached: called once a day, when a request is refused for the first time.

    Raises:
        ConfigurationError: the cap is below 0.
    """

    def __init__(
        self,
        cap_usd: float,
        ledger: SpendLedger,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if not 0 <= cap_usd < float("inf"):
            raise ConfigurationError(f"the spend cap must be 0 or more dollars, got {cap_usd}")
        self.cap_usd = cap_usd
        self.when_reached: Callable[[], object] = lambda: None
        self._ledger = ledger
        self._now = now
        self._clock = clock
        self._refused_on = ""
        self._unwritten: list[tuple[Reservation, float]] = []  # the thread's, once appended
        self._seen, self._looked_at = ("", 0.0), 0.0  # what the ledger said of which day, and when
        self._failed_at = -math.inf
        self._look(self._today())
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="octomil-spending")
        self._is_closed = False

    def has_room(self, usd: float) -> bool:
        """Guess whether so much could be spent now; `reserve` decides.

        Answers from memory, and has the ledger looked at again where that is old.
        """
        today = self._today()
        if self._clock() - self._looked_at > _LOOK_EVERY_S and not self._is_closed:
            self._looked_at = self._clock()
            self._thread.submit(self._catch_up, self._clock())
        day, committed_usd = self._seen
        return (committed_usd if day == today else 0.0) + usd <= self.cap_usd

    async def reserve(self, usd: float) -> Reservation:
        """Set aside the most that a request can cost.

        Raises:
            SpendCapReachedError: that could exceed the cap.
            EngineUnavailableError: the ledger cannot be used now.
        """
        day = self._today()
        asked = self._submit(self._reserve, self._clock(), day, usd)
        try:
            reservation = await asyncio.wrap_future(asked)
        except asyncio.CancelledError:
            asked.add_done_callback(self._give_back)
            raise
        if reservation is None:
            raise self._refusal(day, usd)
        return reservation

    def settle(self, reservation: Reservation, usd: float) -> None:
        """Have the real cost put in the place of what was set aside, soon.

        What cannot be written stays set aside, so that the cap holds, and is tried again.
        """
        day, committed_usd = self._seen
        if day == reservation.day:  # it will have been done before the next request comes
            self._seen = day, committed_usd - reservation.usd + usd
        self._unwritten.append((reservation, usd))
        try:
            self._thread.submit(self._catch_up, self._clock())
        except RuntimeError:  # the node stops, and `close` writes what waits
            if self._is_closed:
                _log.error(
                    "$%.6f of %s stay set aside: the node has stopped", *_amount(reservation)
                )

    async def spent_today_usd(self) -> float:
        """Return what was spent today, by every node with the same ledger."""
        asked = self._submit(self._ledger.spent_usd, self._today())
        return await asyncio.wrap_future(asked)

    def close(self) -> None:
        """Write what waits, and close the ledger."""
        self._thread.shutdown()
        self._write_waiting()
        for reservation, _ in self._unwritten:
            _log.error("$%.6f of %s stay set aside for good", *_amount(reservation))
        self._ledger.close()
        self._is_closed = True

    def _submit(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        if self._is_closed:
            raise EngineUnavailableError("the spend ledger is closed")
        return self._thread.submit(work, *args, **kwargs)

    def _reserve(self, asked_at: float, day: str, usd: float) -> Reservation | None:
        if not self._catch_up(asked_at):
            raise EngineUnavailableError("the spend ledger cannot be used now")
        try:
            return self._ledger.reserve(day, usd, cap_usd=self.cap_usd)
        except EngineUnavailableError:
            self._failed_at = self._clock()
            raise
        finally:
            self._look(day)

    def _give_back(self, asked: Future[Reservation | None]) -> None:
        """Settle what was set aside for a client who did not wait for it."""
        reservation = None if asked.cancelled() or asked.exception() else asked.result()
        if reservation is not None:
            self.settle(reservation, 0.0)

    def _catch_up(self, asked_at: float) -> bool:
        """Write what waits, look at the ledger, and tell whether it can be used.

        Once it could not be, all who had asked by then are told so at once: each with a wait of
        their own, the last of them would wait for minutes.
        """
        if self._failed_at > asked_at:
            return False
        is_written = self._write_waiting()
        self._look(self._today())
        return is_written

    def _write_waiting(self) -> bool:
        while self._unwritten:
            try:
                self._ledger.settle(*self._unwritten[0])
            except EngineUnavailableError:
                self._failed_at = self._clock()
                amount = _amount(self._unwritten[0][0])
                _log.exception("$%.6f of %s stay set aside until they can be settled", *amount)
                return False
            del self._unwritten[0]
        return True

    def _look(self, day: str) -> None:
        """Remember what the ledger says; one that cannot be read has no room."""
        try:
            committed_usd = self._ledger.committed_usd(day)
        except EngineUnavailableError:
            self._failed_at = self._clock()
            if self._seen[1] < math.inf:
                _log.exception("no paid model is asked")
            committed_usd = math.inf
        self._seen, self._looked_at = (day, committed_usd), self._clock()

    def _refusal(self, day: str, usd: float) -> SpendCapReachedError:
        if self._refused_on != day:
            self._refused_on = day
            self.when_reached()
        return SpendCapReachedError(
            f"this request may cost ${usd:.4f}, and ${self._seen[1]:.4f} of today's"
            f" ${self.cap_usd:g} are spent or set aside; ask for fewer tokens, ask a model on"
            " this machine, or raise --spend-cap",
            retry_after_s=self._seconds_left(),
        )

    def _today(self) -> str:
        return self._now().date().isoformat()

    def _seconds_left(self) -> float:
        now = self._now()
        midnight = now.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
        return (midnight - now).total_seconds()


def _amount(reservation: Reservation) -> tuple[float, str]:
    return reservation.usd, reservation.day
