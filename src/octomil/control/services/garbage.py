"""Removing what nobody refers to: abandoned uploads, and files of no version.

A file goes in three steps, each after the one before has reached the disk: condemned, so that
nobody can refer to it any more; removed; forgotten. Whoever sends the same bytes meanwhile waits
for the end of it (`services.intake`), so nothing of theirs is lost.
"""

import logging
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from functools import partial
from threading import Event

from octomil.control.ports import BlobStore, Clock, Spool, Store
from octomil.control.records import Blob
from octomil.control.scopes import INSTALLATION
from octomil.control.services.callers import Caller
from octomil.errors import ServiceUnavailableError
from octomil.wire.uploads import Collected

COLLECTED_EVERY_S = 600.0
GRACE = timedelta(hours=24)
"""So long a file stays that nobody refers to: it may be about to become a version's."""

_AT_ONCE = 100
_OWN = timedelta(minutes=5)
_TAKEN_OVER = timedelta(minutes=10)
"""Whoever condemned a file removes it within `_OWN`, or leaves it to others from then on."""

_log = logging.getLogger("octomil.control")


class Garbage:
    """Removes what nobody refers to; several replicas may do so at once.

    Args:
        store: where it is noted who refers to what.
        blobs: where the files are.
        spool: where the uploads are.
        clock: tells the time.
    """

    def __init__(self, store: Store, blobs: BlobStore, spool: Spool, clock: Clock) -> None:
        self._store = store
        self._blobs = blobs
        self._spool = spool
        self._clock = clock
        self._is_closing = Event()

    def close(self) -> None:
        """Leave what is not removed yet to a later run, from the next file on."""
        self._is_closing.set()

    def collect_for(self, caller: Caller, grace: timedelta) -> Collected:
        """Do the same for somebody who asked.

        Raises:
            ForbiddenError: the caller does not look after the installation.
        """
        caller.require(INSTALLATION)
        return self.collect(grace)

    def collect(self, grace: timedelta = GRACE) -> Collected:
        """Remove abandoned uploads, and files that nobody has referred to for some time."""
        uploads = self._drop_abandoned()
        removed = self._remove(self._take_over)
        removed += self._remove(partial(self._condemn, grace))
        return Collected(
            removed=len(removed), bytes=sum(each.size_bytes for each in removed), uploads=uploads
        )

    def _drop_abandoned(self) -> int:
        """Forget uploads that have expired, and remove bytes in the spool that are of none."""
        now, dropped = self._clock(), 0
        while not self._is_closing.is_set():
            with self._store.system_snapshot() as tx:
                expired = tx.blob_ledger.abandoned_uploads(now, _AT_ONCE)
            for upload in expired:
                with self._store.transaction(upload.organisation) as own:
                    is_gone = own.uploads.delete_expired(upload.id, now)
                if is_gone:  # else it was gone on with meanwhile
                    self._spool.drop(upload.id)
                    dropped += 1
            if len(expired) < _AT_ONCE:
                break
        with self._store.system_snapshot() as tx:
            known = tx.blob_ledger.upload_ids()
        for upload_id in self._spool.untouched(now - GRACE):
            if upload_id not in known and not self._is_closing.is_set():
                self._spool.drop(upload_id)
        return dropped

    def _take_over(self, now: datetime) -> Sequence[Blob]:
        """Return what somebody condemned who died before the end of it."""
        with self._store.system() as tx:
            return tx.blob_ledger.take_over(now - _TAKEN_OVER, now, _AT_ONCE)

    def _condemn(self, grace: timedelta, now: datetime) -> Sequence[Blob]:
        with self._store.system() as tx:
            return tx.blob_ledger.condemn(now - grace, now, _AT_ONCE)

    def _remove(self, some: Callable[[datetime], Sequence[Blob]]) -> list[Blob]:
        """Remove and forget some condemned files, and then some more, until there are none.

        One that cannot be removed stays condemned, for a later run. Where none of some could be, no
        more are condemned.
        """
        removed: list[Blob] = []
        while not self._is_closing.is_set() and (doomed := some(condemned_at := self._clock())):
            failed = 0
            for blob in doomed:
                if self._is_closing.is_set() or self._clock() - condemned_at > _OWN:
                    return removed  # another replica may have taken the rest over
                if not self._is_mine(blob, condemned_at):
                    continue  # one has: this one was stopped for a while just now
                if not self._delete(blob):
                    failed += 1
                    continue
                with self._store.system() as tx:
                    tx.blob_ledger.forget(blob.digest)
                removed.append(blob)
            if failed == len(doomed):
                break
        return removed

    def _delete(self, blob: Blob) -> bool:
        try:
            self._blobs.delete(blob.digest)
        except (OSError, ServiceUnavailableError) as error:
            _log.warning("the file %s cannot be removed: %s", blob.digest, error)
            return False
        return True

    def _is_mine(self, blob: Blob, condemned_at: datetime) -> bool:
        with self._store.system_snapshot() as tx:
            return tx.blob_ledger.is_condemned(blob.digest, condemned_at)
