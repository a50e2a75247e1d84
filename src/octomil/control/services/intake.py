"""What becomes of a file that has arrived: verified, looked through, kept.

Everything here takes its time, and runs in the threads for that (`ServiceThreads.work`). Pickles
are never loaded in this process; see `octomil.convert`.
"""

from collections.abc import Callable
from dataclasses import replace
from time import sleep

from octomil.control.ports import BlobStore, Clock, Spool, Store
from octomil.control.records import Blob, SpooledFile
from octomil.convert.files import (
    CannotConvertError,
    can_convert,
    inspect_in_sandbox,
    to_safetensors,
)
from octomil.convert.formats import ONNX_DATA, Format
from octomil.convert.inspection import Inspection, RefusedFileError
from octomil.convert.sandbox import Children, SandboxEndedError, SandboxError
from octomil.errors import (
    BadRequestError,
    ServiceUnavailableError,
    UnsupportedMediaError,
)

_TRIES, _PAUSE_S = 100, 0.05


class Intake:
    """Turns whole uploads into blobs.

    Args:
        store: where it is noted what is kept.
        blobs: where the bytes go.
        spool: where they come from.
        clock: tells the time.
    """

    def __init__(self, store: Store, blobs: BlobStore, spool: Spool, clock: Clock) -> None:
        self._store = store
        self._blobs = blobs
        self._spool = spool
        self._clock = clock
        self._children = Children()

    def close(self) -> None:
        """Give up what is looked through or converted; the uploads stay, to be gone on with."""
        self._children.end()

    def keep(
        self,
        upload_id: str,
        *,
        sha256: str | None = None,
        format_: str | None = None,
        before_it_moves: Callable[[Blob], None] | None = None,
    ) -> Blob:
        """Keep an upload, and what can be derived from it, and return what it is.

        The upload is gone from the spool then, whether it was taken or refused. Where the server
        fails, it stays.

        Args:
            upload_id: of a whole upload.
            sha256: of the file, as its sender has it; 64 hexadecimal digits.
            format_: `onnx_data` for bytes without a form of their own; else it is found out.
            before_it_moves: called when the file is about to leave the spool.

        Raises:
            BadRequestError: the file has another SHA-256.
            UnsupportedMediaError: it is of no format that is taken, or would do harm when loaded.
            ServiceUnavailableError: it could not be looked through, or not be converted.
            OSError: the disk cannot be written.
        """
        file = self._spool.finish(upload_id)
        try:
            _verify(file, sha256)
            if format_ == ONNX_DATA:
                blob = Blob(digest=file.digest, size_bytes=file.size_bytes, format=ONNX_DATA)
            else:
                blob = self._looked_through(upload_id, file)
            if before_it_moves is not None:
                before_it_moves(blob)
            self._put(blob, file)
        except (BadRequestError, UnsupportedMediaError):
            self._spool.drop(upload_id)
            raise
        except SandboxEndedError:
            raise ServiceUnavailableError(
                "the server is stopping; complete the upload once it is back", {"retry_after_s": 5}
            ) from None
        self._spool.drop(upload_id)
        return blob

    def kept(self, digest: str) -> Blob | None:
        """Return a blob that has all its bytes, or None."""
        with self._store.system_snapshot() as tx:
            blob = tx.blob_ledger.get(digest)
        whole = blob is not None and self._blobs.size(digest) == blob.size_bytes
        return blob if whole else None

    def _looked_through(self, upload_id: str, file: SpooledFile) -> Blob:
        try:
            found = inspect_in_sandbox(file.path, self._spool.scratch, self._children)
        except RefusedFileError as error:
            raise UnsupportedMediaError(f"the file is refused: {error}") from error
        except SandboxError as error:
            raise _no_answer("looked through", error) from error
        blob = Blob(
            digest=file.digest,
            size_bytes=file.size_bytes,
            format=found.format.value,
            unknown_imports=found.unknown_imports,
        )
        return self._derived(upload_id, file, found, blob) if found.has_pickles else blob

    def _derived(self, upload_id: str, file: SpooledFile, found: Inspection, blob: Blob) -> Blob:
        """Make safetensors of what holds pickles, so that nobody needs to load those."""
        reason = can_convert(found)
        if reason is not None:
            return replace(blob, not_converted=reason)
        target = self._spool.scratch / f"{upload_id}.safetensors"
        try:
            to_safetensors(file.path, target, self._children)
            made = self._spool.adopt(target)
            self._put(
                Blob(
                    digest=made.digest, size_bytes=made.size_bytes, format=Format.SAFETENSORS.value
                ),
                made,
            )
        except CannotConvertError as error:
            return replace(blob, not_converted=str(error))
        except SandboxError as error:
            raise _no_answer("converted", error) from error
        finally:
            target.unlink(missing_ok=True)
        return replace(blob, safetensors=(made.digest, made.size_bytes))

    def _put(self, blob: Blob, file: SpooledFile) -> None:
        """Note that a blob is going to be here, then put it there: never the other way round."""
        _insist(lambda: self._enter(blob), blob.digest)
        self._blobs.put(file)

    def _enter(self, blob: Blob) -> bool:
        with self._store.system() as tx:
            return tx.blob_ledger.enter(blob, self._clock())


def _no_answer(done: str, error: SandboxError) -> ServiceUnavailableError:
    """Return what to tell of a child without an answer, which is not the file's fault."""
    return ServiceUnavailableError(f"the file could not be {done}: {error}", {"retry_after_s": 5})


def _verify(file: SpooledFile, sha256: str | None) -> None:
    if sha256 is not None and sha256 != file.digest:
        raise BadRequestError(
            f"the file that arrived has the SHA-256 {file.digest}, not {sha256}; send it again",
            {"sha256": file.digest, "expected": sha256},
        )


def _insist(enter: Callable[[], bool], digest: str) -> None:
    """Wait out the moment in which bytes that nobody wanted are being removed.

    Raises:
        ServiceUnavailableError: the moment does not end.
    """
    for _ in range(_TRIES):
        if enter():
            return
        sleep(_PAUSE_S)
    raise ServiceUnavailableError(
        f"the file {digest} is being removed; send it again in a moment", {"retry_after_s": 5}
    )
