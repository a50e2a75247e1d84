"""The documented audit log: recent entries in memory and, where there is a journal, all on disk."""

import copy
import logging
import math
import threading
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from numbers import Integral, Real
from typing import Any, Self

from epochly.errors import AuditError, ConfigurationError
from epochly.inference.privacy.audit.journal import AuditJournal
from epochly.inference.privacy.config import PrivacyConfig
from epochly.inference.privacy.keys import derive_key
from epochly.inference.privacy.modes import DataKind, Place, StoragePolicy
from epochly.inference.privacy.redaction import InputRedactor

_DEPTH = 16
_TEXT_LENGTH = 1000
_LARGE = 1 << 1024

_log = logging.getLogger(__name__)


def _utc_now() -> datetime:
    return datetime.now(UTC)


class AuditLogger:
    """An append-only log of safety decisions, cache accesses and changes of optimisations.

    An entry is a dict with `timestamp` (Unix seconds), `operation`, `model_id`,
    `optimization_name`, `result` and `details`. Result and details are redacted and copied as
    plain JSON values before anything keeps them. Safe for use by several threads.

    Args:
        max_entries: how many entries memory keeps; the oldest go first.
        redactor: what result and details go through; None keeps them as they are.
        journal: where entries are kept for good; None keeps them in memory only. The logger
            closes it.
        now: the wall clock.

    Raises:
        ConfigurationError: `max_entries` is below 1.

    Example:
        >>> log = AuditLogger(redactor=InputRedactor(["builtin:email"]))
        >>> log.log_event("gate", 7, "compile", "denied", {"by": "ann@example.com"})
        >>> log.get_entries()[0]["details"]
        {'by': '[REDACTED]'}
    """

    def __init__(
        self,
        max_entries: int = 10_000,
        *,
        redactor: InputRedactor | None = None,
        journal: AuditJournal | None = None,
        now: Callable[[], datetime] = _utc_now,
    ) -> None:
        if max_entries < 1:
            raise ConfigurationError(f"max_entries must be 1 or more, got {max_entries}")
        self._entries: deque[dict[str, Any]] = deque(maxlen=max_entries)
        self._redactor = redactor
        self._journal = journal
        self._now = now
        self._lock = threading.Lock()

    def log_event(
        self,
        operation: str,
        model_id: Any,
        optimization_name: str | None,
        result: Any,
        details: Mapping[str, Any] | None = None,
    ) -> None:
        """Log a safety or cache event.

        Never fails because of the disk: what the journal cannot take is reported by `logging`.

        Args:
            operation: what happened, such as `"gate_optimization"` or `"cache_access"`.
            model_id: the model it concerns.
            optimization_name: the optimisation it concerns.
            result: how it ended, such as `"allowed"`.
            details: more about it; values without a JSON form are kept as the
                beginning of their text.
        """
        entry = {
            "timestamp": self._now().timestamp(),
            "operation": str(operation),
            "model_id": _plain(model_id),
            "optimization_name": _plain(optimization_name),
            "result": self._kept(result),
            "details": self._kept({} if details is None else details),
        }
        with self._lock:
            self._entries.append(entry)
            if self._journal is not None:
                try:
                    self._journal.append(entry)
                except AuditError:
                    _log.exception("an audit entry is in memory only")

    def get_entries(self) -> list[dict[str, Any]]:
        """Return a copy of all entries in memory, oldest first."""
        with self._lock:
            entries = list(self._entries)
        return copy.deepcopy(entries)

    def get_entries_since(self, since_timestamp: float) -> list[dict[str, Any]]:
        """Return a copy of the entries in memory from that moment on, it included.

        Args:
            since_timestamp: Unix time, in seconds.
        """
        with self._lock:
            entries = [entry for entry in self._entries if entry["timestamp"] >= since_timestamp]
        return copy.deepcopy(entries)

    @property
    def count(self) -> int:
        """How many entries are in memory."""
        return len(self._entries)

    @property
    def journal(self) -> AuditJournal | None:
        """Where entries are kept for good, if anywhere."""
        return self._journal

    def flush(self, timeout_s: float | None = None) -> None:
        """Return when every entry is on the disk; at once where there is no journal.

        Raises:
            AuditError: the disk refuses, or the time is up.
        """
        if self._journal is not None:
            self._journal.flush(timeout_s)

    def close(self) -> None:
        """Write what waits and close the journal; memory can still be read."""
        if self._journal is not None:
            self._journal.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _kept(self, value: Any) -> Any:
        plain = _plain(value)
        return plain if self._redactor is None else self._redactor.redact_tree(plain)


def open_audit_log(
    config: PrivacyConfig, *, key_material: bytes | None = None, max_entries: int = 10_000
) -> AuditLogger:
    """Open the audit log that a configuration asks for.

    Args:
        config: says whether and where the log is on disk, and what is redacted; without patterns
            of its own, every shipped one is applied.
        key_material: 32 bytes from the key source; the chain is keyed with a key made from it.
        max_entries: how many entries memory keeps.

    Raises:
        AuditError: the log cannot be opened.
        ConfigurationError: the configuration contradicts itself.
        MissingDependencyError: `google-re2` is not installed.
    """
    redactor = InputRedactor(config.redact_patterns or ["builtin:all"])
    if not config.audit_log_enabled:
        return AuditLogger(max_entries, redactor=redactor)
    policy = StoragePolicy.of(config, key_available=key_material is not None)
    policy.require(DataKind.DECISION, Place.DISK)
    key = None if key_material is None else derive_key(key_material, "audit log")
    journal = AuditJournal(config.audit_log_path, key)
    return AuditLogger(max_entries, redactor=redactor, journal=journal)


def _plain(value: Any, depth: int = 0) -> Any:
    """Copy a value as JSON values; what has no such form becomes its text."""
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, Integral):
        number = int(value)
        return number if abs(number) < _LARGE else hex(number)
    if isinstance(value, Real):
        return float(value) if math.isfinite(value) else str(value)
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    if depth < _DEPTH and isinstance(value, Mapping):
        return {str(key): _plain(inner, depth + 1) for key, inner in value.items()}
    if depth < _DEPTH and isinstance(value, list | tuple | set | frozenset):
        return [_plain(inner, depth + 1) for inner in _ordered(value)]
    return str(value)[:_TEXT_LENGTH]


def _ordered(values: Iterable[Any]) -> Iterable[Any]:
    return sorted(values, key=repr) if isinstance(values, set | frozenset) else values
