"""Put a SQLite file into write-ahead-log mode, however many open it at the same moment."""

import sqlite3
from time import monotonic, sleep

_PAUSE_S = 0.01


def write_ahead(connection: sqlite3.Connection, *, patience_s: float) -> None:
    """Keep what is written through `connection` in a log beside the file; the file remembers.

    SQLite waits for other connections with its busy timeout, but not here: the step from a shared
    to an exclusive lock fails at once where two take it (https://sqlite.org/wal.html, "Sometimes
    queries return SQLITE_BUSY"). So of several that open a new file together, some are refused.

    Args:
        connection: outside any transaction.
        patience_s: seconds to try again for.

    Raises:
        sqlite3.OperationalError: the file was locked all that time, or cannot be written.
    """
    deadline = monotonic() + patience_s
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError as error:
            if not _is_busy(error) or monotonic() > deadline:
                raise
        else:
            return
        sleep(_PAUSE_S)


def _is_busy(error: sqlite3.OperationalError) -> bool:
    """Tell by the low byte: it is the same for all kinds, such as SQLITE_BUSY_RECOVERY."""
    return error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY
