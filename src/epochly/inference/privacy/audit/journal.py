"""A durable audit log: many threads append, one writes, and a flush tells what is safe.

Appending puts an entry into a queue. The writer takes all that is queued, writes it with one sync
(group commit) and moves the head; :meth:`AuditJournal.flush` returns when what was appended before
it is on the disk. A disk that fails never disturbs whoever appends: entries wait, up to a bound,
and what had to be dropped is counted in the log itself once it can be written again.
"""

import atexit
import logging
import os
import threading
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Self

from epochly.errors import AuditError, ConfigurationError
from epochly.inference.privacy.audit.chain import canonical_json
from epochly.inference.privacy.audit.files import MAX_FILE_BYTES, AuditFiles
from epochly.inference.privacy.audit.head import Head

MAX_PENDING: Final = 65_536
RETRY_S: Final = 1.0

_log = logging.getLogger(__name__)


def _utc_now() -> datetime:
    return datetime.now(UTC)


class AuditJournal:
    """The hash-chained file of an audit log; for one process at a time.

    Args:
        folder: where the files are; `~` is the home folder. Made if need be, closed to others.
        key: 32 bytes to key the chain with (see `derive_key`), or None.
        max_file_bytes: size from which on the next group goes to a new file.
        max_pending: how many entries may wait for the disk; later ones are dropped and counted.
        retry_s: seconds between tries after the disk refused.
        now: the wall clock; its day names the files.

    Raises:
        AuditError: the log cannot be opened; see :class:`~.files.AuditFiles`.
        ConfigurationError: the key is not 32 bytes long.

    Example:
        >>> import tempfile
        >>> with AuditJournal(tempfile.mkdtemp()) as journal:
        ...     journal.append({"operation": "gate", "result": "allowed"})
        ...     journal.flush()
        ...     journal.head.sequence
        1
    """

    def __init__(
        self,
        folder: str | Path,
        key: bytes | None = None,
        *,
        max_file_bytes: int = MAX_FILE_BYTES,
        max_pending: int = MAX_PENDING,
        retry_s: float = RETRY_S,
        now: Callable[[], datetime] = _utc_now,
    ) -> None:
        if key is not None and len(key) != 32:
            raise ConfigurationError(f"an audit key must be 32 bytes, got {len(key)}")
        self.folder = Path(folder).expanduser()
        self._files = AuditFiles(self.folder, key, max_file_bytes=max_file_bytes)
        self._max_pending = max_pending
        self._retry_s = retry_s
        self._now = now
        self._pid = os.getpid()
        self._changed = threading.Condition()
        self._pending: list[bytes] = []
        self._appended = self._durable = self._dropped = 0
        self._error: OSError | None = None
        self._closing = False
        if self._files.discarded_bytes:
            discarded = {"discarded_bytes": self._files.discarded_bytes}
            self.append({"operation": "audit.recovered", "details": discarded})
        self._writer = threading.Thread(target=self._write, name="epochly-audit", daemon=True)
        self._writer.start()
        atexit.register(self.close)

    @property
    def head(self) -> Head:
        """How far the log reaches on the disk; worth keeping elsewhere for the verifier."""
        return self._files.head

    @property
    def dropped(self) -> int:
        """How many entries were dropped because too many waited for the disk."""
        return self._dropped

    def append(self, entry: Mapping[str, Any]) -> None:
        """Queue an entry; it is copied, and it is safe only after a :meth:`flush`.

        Raises:
            AuditError: the journal is closed, or belongs to the process this one was forked from.
            TypeError, ValueError: the entry has no JSON form.
        """
        text = canonical_json(entry)
        if os.getpid() != self._pid:
            raise AuditError("the audit log was opened before this process was forked; reopen it")
        with self._changed:
            if self._closing:
                raise AuditError("the audit log is closed")
            if len(self._pending) >= self._max_pending:
                self._dropped += 1
                return
            self._pending.append(text)
            self._appended += 1
            self._changed.notify_all()

    def flush(self, timeout_s: float | None = None) -> None:
        """Return when every entry appended before is on the disk.

        Args:
            timeout_s: how long to wait, in seconds; None waits as long as the disk works.

        Raises:
            AuditError: the disk refuses (entries keep waiting), or the time is up.
        """
        with self._changed:
            wanted = self._appended
            self._changed.wait_for(
                lambda: self._durable >= wanted or self._error is not None, timeout_s
            )
            if self._durable >= wanted:
                return
            if self._error is not None:
                raise AuditError(
                    f"the audit log {self.folder} cannot be written: {self._error}"
                ) from self._error
        raise AuditError(f"the audit log was not on the disk within {timeout_s:g} s")

    def close(self) -> None:
        """Write what waits, once, and give the log free. Closing twice is harmless."""
        atexit.unregister(self.close)
        if os.getpid() != self._pid:
            return
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._writer.join()
        self._files.close()
        if self._durable < self._appended:
            left = self._appended - self._durable
            _log.error("%d entries of the audit log %s were never written", left, self.folder)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _write(self) -> None:
        recorded_drops = 0
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._pending or self._closing)
                if not self._pending:
                    return
                batch, self._pending = self._pending, []
                dropped = self._dropped
            entries = batch
            if dropped > recorded_drops:
                lost = {"dropped": dropped - recorded_drops}
                entries = [*batch, canonical_json({"operation": "audit.dropped", "details": lost})]
            if not self._committed(entries):
                return
            recorded_drops = dropped
            with self._changed:
                self._durable += len(batch)
                self._changed.notify_all()

    def _committed(self, entries: list[bytes]) -> bool:
        """Try until the disk takes the entries; once more when the journal is being closed."""
        is_last_try = False
        while True:
            try:
                self._files.commit(entries, self._now())
            except OSError as err:
                if self._error is None:
                    _log.exception("the audit log %s cannot be written", self.folder)
                with self._changed:
                    self._error = err
                    self._changed.notify_all()
                    if is_last_try:
                        return False
                    is_last_try = self._changed.wait_for(lambda: self._closing, self._retry_s)
            else:
                self._error = None
                return True
