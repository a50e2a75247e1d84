"""What a driver says of its database, turned into our errors.

Clients are told what to do about it, in fixed words; what the driver said (hosts, ports, processes)
is the cause of our error, and goes to the log. A statement that makes no sense is our own fault and
passes on as it is.
"""

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final

from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from octomil.control.disk_faults import FULL, READ_ONLY
from octomil.control.ports import (
    OutcomeUnknownError,
    StoreBusyError,
    StoreUnreachableError,
    TransactionConflictError,
)
from octomil.errors import ServiceUnavailableError

_LOST: Final = "it does not answer; try again in a moment"
_BUSY: Final = "it is busy; try again in a moment"
_FAULTY: Final = "its disk fails; the log says how"

_TOLD: Final[Mapping[object, str]] = {
    sqlite3.SQLITE_BUSY: _BUSY,
    sqlite3.SQLITE_LOCKED: _BUSY,
    sqlite3.SQLITE_CANTOPEN: _FAULTY,
    sqlite3.SQLITE_IOERR: _FAULTY,
    sqlite3.SQLITE_FULL: FULL,
    sqlite3.SQLITE_READONLY: READ_ONLY,
    "53100": FULL,  # disk_full
    "25006": READ_ONLY,  # read_only_sql_transaction
    "25P03": _BUSY,  # idle_in_transaction_session_timeout
    "55P03": _BUSY,  # lock_not_available
    "57014": _BUSY,  # query_canceled, as by statement_timeout
}
"""By SQLite's primary code or Postgres' SQLSTATE."""

_TOLD_OF_CLASS: Final = {"08": _LOST, "53": _BUSY, "57": _LOST, "58": _FAULTY}
"""By the first two characters of an SQLSTATE: connections, resources, operators, the system."""

_CONFLICTS: Final = frozenset({"40001", "40P01"})  # serialization_failure, deadlock_detected
_UNDONE: Final = frozenset(
    {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_CONSTRAINT, sqlite3.SQLITE_FULL, sqlite3.SQLITE_READONLY}
)
_UNDECIDED: Final = ("08", "40003", "57", "58")


@contextmanager
def translated(*, may_write: bool = True, begins: bool = False) -> Iterator[None]:
    """Turn what the driver says into our errors.

    Args:
        may_write: whether the block may; else it is no fault of the database's to refuse it.
        begins: whether the block only begins what is to be done.

    Raises:
        StoreUnreachableError: the database cannot be reached.
        StoreBusyError: nothing could be begun, because others kept the database to themselves.
        ServiceUnavailableError: it is full, busy, or may not be written.
        TransactionConflictError: it gave this transaction up for another's sake.
    """
    try:
        yield
    except (DBAPIError, PoolTimeoutError) as error:
        cause = _cause(error)
        if _code(cause) in _CONFLICTS:
            raise TransactionConflictError(_sentence(_BUSY)) from cause
        told = _told(error)
        if told is None or (told is READ_ONLY and not may_write):
            raise
        kind = ServiceUnavailableError
        if told is _LOST:
            kind = StoreUnreachableError
        elif told is _BUSY and begins:
            kind = StoreBusyError
        raise kind(_sentence(told)) from cause


@contextmanager
def confirmed() -> Iterator[None]:
    """Turn the failure of a commit into our error, unless it is sure that nothing was changed.

    Raises:
        OutcomeUnknownError: the database may have committed.
    """
    try:
        yield
    except DBAPIError as error:
        cause = _cause(error)
        if _is_undone(cause):
            raise
        raise OutcomeUnknownError(
            "the database was lost while it confirmed a change; look whether it was made, or send "
            "the request again with the same Idempotency-Key"
        ) from cause


def _told(error: DBAPIError | PoolTimeoutError) -> str | None:
    """Return what to tell of a fault that passes by; None if it is one of ours."""
    if isinstance(error, PoolTimeoutError):
        return _BUSY
    code = _code(_cause(error))
    if code is None:
        is_lost = isinstance(error, OperationalError) or error.connection_invalidated
        return _LOST if is_lost else None
    return _TOLD.get(code) or _TOLD_OF_CLASS.get(str(code)[:2])


def _is_undone(cause: BaseException) -> bool:
    """Tell whether a commit that failed has certainly changed nothing."""
    code = _code(cause)
    if isinstance(code, str):
        return not code.startswith(_UNDECIDED)
    extended = getattr(cause, "sqlite_errorcode", None)
    return code in _UNDONE or extended == sqlite3.SQLITE_IOERR_WRITE


def _cause(error: Exception) -> BaseException:
    return getattr(error, "orig", None) or error


def _code(cause: BaseException) -> int | str | None:
    """Return a driver's code for what happened: SQLite's primary one, or an SQLSTATE."""
    extended: int | None = getattr(cause, "sqlite_errorcode", None)
    if extended is not None:
        return extended & 0xFF
    sqlstate: str | None = getattr(cause, "sqlstate", None)
    return sqlstate


def _sentence(told: str) -> str:
    return f"the database cannot be used now: {told}"
