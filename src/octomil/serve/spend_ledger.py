"""What was spent on each day, and what is set aside for requests under way, in a small file.

The nodes of a machine share the file. Looking whether a request fits and setting its cost aside is
one transaction, so that no two of them can both take the last dollar. What is set aside goes when
its request is settled. A node that dies settles nothing: what its requests cost is known to nobody
then, so it stays set aside, and counts for the rest of its day as if it were spent.
"""

import sqlite3
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from octomil.errors import ConfigurationError, EngineUnavailableError
from octomil.write_ahead_log import write_ahead

_BUSY_TIMEOUT_S = 5.0
_SCHEMA = """
    CREATE TABLE IF NOT EXISTS spent (day TEXT PRIMARY KEY, usd REAL NOT NULL) STRICT;
    -- AUTOINCREMENT: no number is given twice, so that settling late meets nobody else's.
    CREATE TABLE IF NOT EXISTS set_aside (
        id INTEGER PRIMARY KEY AUTOINCREMENT, day TEXT NOT NULL, usd REAL NOT NULL
    ) STRICT;
"""
_SPENT = "SELECT coalesce(sum(usd), 0.0) FROM spent WHERE day = :day"
_COMMITTED = (
    "SELECT (SELECT coalesce(sum(usd), 0.0) FROM spent WHERE day = :day)"
    " + (SELECT coalesce(sum(usd), 0.0) FROM set_aside WHERE day = :day)"
)
_SET_ASIDE = "INSERT INTO set_aside (day, usd) VALUES (:day, :usd) RETURNING id"
_ADD = (
    "INSERT INTO spent (day, usd) VALUES (?, ?)"
    " ON CONFLICT (day) DO UPDATE SET usd = usd + excluded.usd"
)


@dataclass(frozen=True, slots=True)
class Reservation:
    """An amount set aside for one request.

    Attributes:
        number: names it in the ledger.
        day: the day it was set aside on, in ISO 8601, which also bears the cost.
        usd: how much.
    """

    number: int
    day: str
    usd: float


class SpendLedger:
    """Reads and writes the file; not for use by several threads at once.

    Every method but `close` raises `EngineUnavailableError` where the file cannot be used now.

    Args:
        path: the file; made with its folder if need be.
        busy_timeout_s: seconds to wait for another process that is writing.

    Raises:
        ConfigurationError: the file cannot be used.
    """

    def __init__(self, path: Path, *, busy_timeout_s: float = _BUSY_TIMEOUT_S) -> None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._database = sqlite3.connect(
                path, timeout=busy_timeout_s, isolation_level=None, check_same_thread=False
            )
            write_ahead(self._database, patience_s=busy_timeout_s)
            self._database.execute("PRAGMA synchronous=NORMAL")
            self._database.executescript(_SCHEMA)
        except (OSError, sqlite3.Error) as error:
            raise ConfigurationError(f"cannot keep the spend ledger in {path}: {error}") from error

    def spent_usd(self, day: str) -> float:
        """Return what was spent on a day."""
        with _errors_told():
            return self._value(_SPENT, day=day)

    def committed_usd(self, day: str) -> float:
        """Return what was spent on a day or is set aside for it."""
        with _errors_told():
            return self._value(_COMMITTED, day=day)

    def reserve(self, day: str, usd: float, *, cap_usd: float) -> Reservation | None:
        """Set an amount aside if it fits under a day's cap; None where it does not."""
        with self._transaction():
            if self._value(_COMMITTED, day=day) + usd > cap_usd:
                return None
            return Reservation(int(self._value(_SET_ASIDE, day=day, usd=usd)), day, usd)

    def settle(self, reservation: Reservation, usd: float) -> None:
        """Put the real cost in the place of what was set aside."""
        with self._transaction():
            self._database.execute("DELETE FROM set_aside WHERE id = ?", (reservation.number,))
            if usd:
                self._database.execute(_ADD, (reservation.day, usd))

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    def _value(self, query: str, **values: str | float) -> float:
        ((value,),) = self._database.execute(query, values).fetchall()
        return float(value)

    @contextmanager
    def _transaction(self) -> Generator[None]:
        with _errors_told():
            self._database.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._database.execute("COMMIT")
            finally:
                if self._database.in_transaction:
                    self._database.execute("ROLLBACK")


@contextmanager
def _errors_told() -> Generator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise EngineUnavailableError(f"the spend ledger cannot be used: {error}") from error
