"""Uploads that can be gone on with: begun, grown by offset, completed or given up."""

from contextlib import AbstractAsyncContextManager
from datetime import UTC, timedelta

from octomil.control.identifiers import new_id
from octomil.control.ports import Clock, Spool, Store
from octomil.control.records import Blob, Upload
from octomil.control.scopes import MODELS_WRITE
from octomil.control.services.callers import Caller
from octomil.control.services.intake import Intake
from octomil.control.services.upload_quotas import DEFAULT_QUOTA, UploadQuota
from octomil.control.turns import Turns
from octomil.errors import (
    BadRequestError,
    ConflictError,
    NotFoundError,
    UnsupportedMediaError,
)
from octomil.wire.uploads import SHA256_PREFIX, UploadRequest, UploadView

EXPIRES = timedelta(hours=24)
"""So long after its last step an upload can be gone on with."""

_RENEWED_BELOW = EXPIRES * 0.9


class UploadService:
    """What can be done with uploads.

    Args:
        store: where it is noted which there are.
        spool: where their bytes are.
        intake: keeps those that are complete.
        clock: tells the time.
        quota: what each organisation may have under way.
    """

    def __init__(
        self,
        store: Store,
        spool: Spool,
        intake: Intake,
        clock: Clock,
        quota: UploadQuota = DEFAULT_QUOTA,
    ) -> None:
        self._store = store
        self._spool = spool
        self._intake = intake
        self._clock = clock
        self._quota = quota
        self._turns = Turns()

    def begin(self, caller: Caller, request: UploadRequest) -> UploadView:
        """Begin an upload.

        Raises:
            ForbiddenError: the caller lacks the scope.
            ConflictError: the organisation has too much under way.
        """
        caller.require(MODELS_WRITE)
        now = self._clock()
        upload = Upload(
            id=new_id("upl", now),
            organisation=caller.organisation,
            name=request.name,
            size_bytes=request.size_bytes,
            created_at=now,
            expires_at=now + EXPIRES,
        )
        with self._store.transaction(caller.organisation) as tx:
            self._quota.require_room(tx.uploads.under_way(now), request.size_bytes)
            tx.uploads.add(upload)
        return _view(upload, 0)

    def get(self, caller: Caller, upload_id: str) -> UploadView:
        """Return an upload.

        Raises:
            NotFoundError: there is none, or it was abandoned.
        """
        upload = self.find(caller, upload_id)
        return _view(upload, self.offset(upload))

    def find(self, caller: Caller, upload_id: str) -> Upload:
        """Return what is noted about an upload.

        Raises:
            NotFoundError: there is none, or it was abandoned.
        """
        caller.require(MODELS_WRITE)
        with self._store.snapshot(caller.organisation) as tx:
            return self._known(tx.uploads.get(upload_id), upload_id)

    def find_open(self, caller: Caller, upload_id: str) -> Upload:
        """Return an upload that is not complete yet.

        Raises:
            NotFoundError: there is none, or it was abandoned.
            ConflictError: it is complete.
        """
        upload = self.find(caller, upload_id)
        if upload.digest is not None:
            raise ConflictError(
                f"the upload {upload_id} is complete", {"offset": upload.size_bytes}
            )
        return upload

    def append(self, upload: Upload, offset: int, data: bytes) -> int:
        """Add bytes to an upload; return the new offset. What fits no more is refused whole.

        Raises:
            ConflictError: it stands elsewhere; `details["offset"]` says where. Or it is being
                completed, which may take minutes.
            BadRequestError: it would grow beyond its size.
        """
        self._require_rest(upload)
        if offset + len(data) > upload.size_bytes:
            raise BadRequestError(
                f"the upload {upload.id} was to have {upload.size_bytes} bytes, and would have "
                f"{offset + len(data)}"
            )
        return self._spool.append(upload.id, offset, data)

    def acknowledge(self, upload: Upload) -> None:
        """Make what was added survive a loss of power, before its sender is told of it.

        Raises:
            ConflictError: it is being completed, which may take minutes.
        """
        self._require_rest(upload)
        if self._spool.offset(upload.id):
            self._spool.sync(upload.id)

    def _require_rest(self, upload: Upload) -> None:
        if self._turns.users(upload.id):
            raise ConflictError(
                f"the upload {upload.id} is being completed", {"offset": self.offset(upload)}
            )

    def is_to_be_renewed(self, upload: Upload) -> bool:
        """Tell whether some of an upload's time has passed."""
        return upload.expires_at - self._clock() < _RENEWED_BELOW

    def renew(self, caller: Caller, upload: Upload) -> None:
        """Put off the moment from which an upload counts as abandoned."""
        with self._store.transaction(caller.organisation) as tx:
            tx.uploads.renew(upload.id, self._clock() + EXPIRES)

    def offset(self, upload: Upload) -> int:
        """Return how many bytes of an upload are here."""
        return upload.size_bytes if upload.digest is not None else self._spool.offset(upload.id)

    def turn(self, upload: Upload) -> AbstractAsyncContextManager[None]:
        """Wait for the calls before that keep an upload, and let those that follow wait."""
        return self._turns.of(upload.id)

    def keep(self, upload: Upload, sha256: str, format_: str | None = None) -> Blob | None:
        """Keep a whole upload whose `turn` it is; return it, or None if that was done before.

        Args:
            upload: as it was found.
            sha256: of the file, as its sender has it.
            format_: what its content does not tell, as `Intake.keep` takes it.

        Raises:
            NotFoundError: it was given up meanwhile.
            ConflictError: bytes are missing; `details["offset"]` says how many are here. Or it is
                complete, and has another SHA-256.
            BadRequestError: it has another SHA-256, and is begun anew from offset 0.
            UnsupportedMediaError: it is nothing that is taken, likewise.
            ServiceUnavailableError: it could not be looked through; its bytes stay.
        """
        digits = sha256.removeprefix(SHA256_PREFIX).lower()
        known = self._as_noted(upload)
        if known.digest is not None:
            _require_same(known, known.digest, digits)
            return None
        return self._moved(known, digits) or self._keep(known, digits, format_)

    def _keep(self, upload: Upload, digits: str, format_: str | None) -> Blob:
        here = self._spool.offset(upload.id)
        if here != upload.size_bytes:
            raise ConflictError(
                f"{here} of {upload.size_bytes} bytes are here; go on from there", {"offset": here}
            )
        if here == 0:
            self._spool.append(upload.id, 0, b"")

        def note(blob: Blob) -> None:
            with self._store.transaction(upload.organisation) as tx:
                tx.uploads.verify(upload.id, blob.digest)

        try:
            return self._intake.keep(
                upload.id, sha256=digits, format_=format_, before_it_moves=note
            )
        except (BadRequestError, NotFoundError, UnsupportedMediaError):
            moved = self._moved(self._as_noted(upload), digits)
            if moved is None:
                raise
            return moved  # by another replica, which was faster and left nothing to look at

    def _moved(self, upload: Upload, digits: str) -> Blob | None:
        """Return what an upload became whose row does not say so: by a call before, or a crash.

        Raises:
            ConflictError: it has another SHA-256.
        """
        if upload.verified is None or self._spool.offset(upload.id):
            return None
        moved = self._intake.kept(upload.verified)
        if moved is not None:
            _require_same(upload, upload.verified, digits)
        return moved

    def _as_noted(self, upload: Upload) -> Upload:
        with self._store.snapshot(upload.organisation) as tx:
            return self._known(tx.uploads.get(upload.id), upload.id)

    def complete(self, caller: Caller, upload_id: str, blob: Blob | None) -> UploadView:
        """Note what an upload became.

        Raises:
            NotFoundError: it was given up meanwhile.
        """
        with self._store.transaction(caller.organisation) as tx:
            upload = self._known(tx.uploads.hold(upload_id), upload_id)
            if blob is not None:
                tx.uploads.complete(upload_id, blob.digest)
                tx.uploads.renew(upload_id, self._clock() + EXPIRES)
            upload = self._known(tx.uploads.get(upload_id), upload_id)
        return _view(upload, upload.size_bytes)

    def give_up(self, caller: Caller, upload_id: str) -> None:
        """Forget an upload; what versions were made of it stays.

        Raises:
            NotFoundError: there is none.
        """
        caller.require(MODELS_WRITE)
        with self._store.transaction(caller.organisation) as tx:
            if not tx.uploads.delete(upload_id):
                raise _no_upload(upload_id)

    def drop(self, upload_id: str) -> None:
        """Remove the bytes of an upload that was given up; who is at them removes them itself."""
        if not self._turns.users(upload_id):
            self._spool.drop(upload_id)

    def _known(self, upload: Upload | None, upload_id: str) -> Upload:
        if upload is None or upload.expires_at <= self._clock():
            raise _no_upload(upload_id)
        return upload


def _require_same(upload: Upload, digest: str, digits: str) -> None:
    if digest != digits:
        raise ConflictError(f"the upload {upload.id} is complete and has another SHA-256")


def _view(upload: Upload, offset: int) -> UploadView:
    done = upload.digest is not None
    return UploadView(
        id=upload.id,
        name=upload.name,
        size_bytes=upload.size_bytes,
        offset=offset,
        is_complete=done,
        storage_path=f"{SHA256_PREFIX}{upload.digest}" if done else None,
        sha256=upload.digest,
        expires_at=upload.expires_at.astimezone(UTC).isoformat(),
    )


def _no_upload(upload_id: str) -> NotFoundError:
    return NotFoundError(f"there is no upload {upload_id!r}, or it was abandoned; begin another")
