"""A cap on what paid models may cost a day, kept across restarts and shared on a machine.

Before a paid model is asked, the most that the request can cost is set aside, so that requests at
the same time cannot exceed the cap together; afterwards the real cost takes its place.
"""

import logging
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from octomil.errors import ConfigurationError, EngineUnavailableError, SpendCapReachedError

_log = logging.getLogger("octomil.serve")

_BUSY_TIMEOUT_S = 5.0
_SCHEMA = "CREATE TABLE IF NOT EXISTS spent (day TEXT PRIMARY KEY, usd REAL NOT NULL) STRICT"
_ADD = (
    "INSERT INTO spent (day, usd) VALUES (?, ?)"
    " ON CONFLICT (day) DO UPDATE SET usd = usd + excluded.usd"
)


class SpendLedger:
    """What was spent on each day, in a small file.

    Amounts set aside for requests under way are known to this process alone; what they cost in the
    end is seen by every process with the same file.

    Args:
        path: the file; made with its folder if need be.

    Raises:
        ConfigurationError: the file cannot be used.
    """

    def __init__(self, path: Path) -> None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._database = sqlite3.connect(
                path, timeout=_BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False
            )
            self._database.execute("PRAGMA journal_mode=WAL")
            self._database.execute("PRAGMA synchronous=NORMAL")
            self._database.execute(_SCHEMA)
        except (OSError, sqlite3.Error) as error:
            raise ConfigurationError(f"cannot keep the spend ledger in {path}: {error}") from error

    def spent_usd(self, day: str) -> float:
        """Return what was spent on a day, written as in ISO 8601.

        Raises:
            EngineUnavailableError: the file cannot be read now.
        """
        query = "SELECT usd FROM spent WHERE day = ?"
        try:
            with closing(self._database.execute(query, (day,))) as rows:
                row = rows.fetchone()
        except sqlite3.Error as error:
            raise EngineUnavailableError(f"the spend ledger cannot be read: {error}") from error
        return float(row[0]) if row else 0.0

    def add(self, day: str, usd: float) -> None:
        """Add to what was spent on a day.

        Raises:
            EngineUnavailableError: the file cannot be written now.
        """
        try:
            self._database.execute(_ADD, (day, usd))
        except sqlite3.Error as error:
            raise EngineUnavailableError(f"the spend ledger cannot be written: {error}") from error

    def close(self) -> None:
        """Close the file."""
        self._database.close()


@dataclass(slots=True)
class Reservation:
    """An amount set aside for one request.

    Attributes:
        usd: how much.
        day: the day it was set aside on, which also bears the cost.
    """

    usd: float
    day: str


class SpendCap:
    """Lets paid models be asked while the day's cap cannot be exceeded.

    Args:
        cap_usd: US dollars a day, in UTC.
        ledger: what was spent.
        now: the time in UTC.

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
    ) -> None:
        if not 0 <= cap_usd < float("inf"):
            raise ConfigurationError(f"the spend cap must be 0 or more dollars, got {cap_usd}")
        self.cap_usd = cap_usd
        self._ledger = ledger
        self._now = now
        self._reserved_usd: dict[str, float] = {}
        self._refused_on = ""
        self.when_reached: Callable[[], object] = lambda: None

    def has_room(self, usd: float) -> bool:
        """Tell whether so much could be spent now."""
        day = self._today()
        return self._committed_usd(day) + usd <= self.cap_usd

    def reserve(self, usd: float) -> Reservation:
        """Set aside the most that a request can cost.

        Raises:
            SpendCapReachedError: that could exceed the cap.
        """
        day = self._today()
        committed_usd = self._committed_usd(day)
        if committed_usd + usd > self.cap_usd:
            if self._refused_on != day:
                self._refused_on = day
                self.when_reached()
            raise SpendCapReachedError(
                f"this request may cost ${usd:.4f}, and ${committed_usd:.4f} of today's"
                f" ${self.cap_usd:g} are spent or set aside; ask for fewer tokens, ask a model on"
                " this machine, or raise --spend-cap",
                retry_after_s=self._seconds_left(),
            )
        self._reserved_usd[day] = self._reserved_usd.get(day, 0.0) + usd
        return Reservation(usd, day)

    def settle(self, reservation: Reservation, usd: float) -> None:
        """Put the real cost in the place of what was set aside.

        A cost that cannot be written stays set aside, so that the cap holds all the same.
        """
        left_usd = self._reserved_usd.get(reservation.day, 0.0) - reservation.usd
        if usd:
            try:
                self._ledger.add(reservation.day, usd)
            except EngineUnavailableError:
                _log.exception("$%.6f of %s stay set aside until a restart", usd, reservation.day)
                left_usd += usd
        if left_usd > 1e-12:
            self._reserved_usd[reservation.day] = left_usd
        else:
            self._reserved_usd.pop(reservation.day, None)

    def spent_today_usd(self) -> float:
        """Return what was spent today, by every process with the same ledger."""
        return self._ledger.spent_usd(self._today())

    def close(self) -> None:
        """Close the ledger."""
        self._ledger.close()

    def _committed_usd(self, day: str) -> float:
        return self._ledger.spent_usd(day) + self._reserved_usd.get(day, 0.0)

    def _today(self) -> str:
        return self._now().date().isoformat()

    def _seconds_left(self) -> float:
        now = self._now()
        midnight = now.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
        return (midnight - now).total_seconds()
