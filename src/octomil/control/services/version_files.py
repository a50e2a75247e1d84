"""The files of versions: new versions made of uploads, and further formats added to them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from octomil.control.ports import Clock, Store
from octomil.control.records import Blob, Origin, Version, VersionFile
from octomil.control.scopes import MODELS_WRITE
from octomil.control.services.callers import Caller
from octomil.control.services.lookup import require_model, require_version
from octomil.control.services.versions import VersionService
from octomil.convert.formats import ONNX_DATA, TORCH_FORMATS, Format
from octomil.errors import BadRequestError, ConflictError, NotFoundError
from octomil.wire.uploads import SHA256_PREFIX, VersionFileRequest
from octomil.wire.versions import VersionCreation


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A file of a version, kept already.

    Attributes:
        name: what it was called where it came from.
    """

    blob: Blob
    name: str


class VersionFiles:
    """Makes versions of files.

    Args:
        store: where it is noted which blobs there are.
        versions: makes the versions.
        clock: tells the time.
    """

    def __init__(self, store: Store, versions: VersionService, clock: Clock) -> None:
        self._store = store
        self._versions = versions
        self._clock = clock

    def create(self, caller: Caller, model_id: str, creation: VersionCreation) -> Version:
        """Begin a version, with the file at its `storage_path` if that is given.

        Raises:
            BadRequestError: the path is none of ours, or the file is not what is said about it.
            NotFoundError: the organisation has no such file, or no such model.
            ConflictError: the number is taken.
        """
        if creation.storage_path is None:
            return self._versions.create(caller, model_id, creation)
        self.require_model(caller, model_id)
        blob = self._held(caller, creation.storage_path)
        if blob.format == ONNX_DATA:
            raise _beside_onnx()
        _check_promise(creation, blob)
        return self.create_of(caller, model_id, creation, [Part(blob=blob, name="model")])

    def create_of(
        self, caller: Caller, model_id: str, creation: VersionCreation, parts: Sequence[Part]
    ) -> Version:
        """Make a version of files, all of it or nothing.

        Raises:
            NotFoundError: there is no such model.
            ConflictError: the number is taken.
        """
        with self._store.group():
            version = self._versions.create(caller, model_id, creation)
            for part in parts:
                version = self._add(caller, version, part)
        return version

    def require_model(self, caller: Caller, model_id: str) -> None:
        """Return if there is a model to make versions of, so that no file is sent in vain.

        Raises:
            NotFoundError: there is none.
        """
        caller.require(MODELS_WRITE)
        with self._store.snapshot(caller.organisation) as tx:
            require_model(tx, model_id)

    def add(
        self, caller: Caller, model_id: str, number: str, request: VersionFileRequest
    ) -> Version:
        """Add a file in another format to a version.

        Raises:
            BadRequestError: the path is none of ours, the file is of another format, or it is the
                weights of an ONNX model that is not there.
            NotFoundError: the organisation has no such file, or no such version.
            ConflictError: the version is frozen, or has another file in that format.
        """
        caller.require(MODELS_WRITE)
        with self._store.snapshot(caller.organisation) as tx:
            files = require_version(tx, model_id, number).files
        blob = self._held(caller, request.storage_path)
        if ONNX_DATA in (request.format, blob.format):
            blob = _weights(blob, request.format, files)
        _check_format(request.format, blob)
        is_sent = not files or blob.format == ONNX_DATA
        origin: Origin = "original" if is_sent else "converted"
        file = self._file(blob, origin, request.name or "model")
        with self._store.group():
            self._claim(caller, blob.digest)
            return self._versions.add_file(caller, model_id, number, file)

    def _add(self, caller: Caller, version: Version, part: Part) -> Version:
        """Add a file and the safetensors that were made of it."""
        blobs: list[tuple[Blob, Origin]] = [(part.blob, "original")]
        if part.blob.safetensors is not None:
            digest, size_bytes = part.blob.safetensors
            made = Blob(digest=digest, size_bytes=size_bytes, format=Format.SAFETENSORS.value)
            blobs.append((made, "converted"))
        for blob, origin in blobs:
            self._claim(caller, blob.digest)
            file = self._file(blob, origin, part.name)
            version = self._versions.add_file(caller, version.model_id, version.number, file)
        return version

    def _file(self, blob: Blob, origin: Origin, name: str) -> VersionFile:
        return VersionFile(
            format=blob.format,
            digest=blob.digest,
            size_bytes=blob.size_bytes,
            origin=origin,
            name=name,
            created_at=self._clock(),
        )

    def _held(self, caller: Caller, storage_path: str) -> Blob:
        digest = storage_path.removeprefix(SHA256_PREFIX)
        if not storage_path.startswith(SHA256_PREFIX):
            raise BadRequestError(
                f"storage_path: {storage_path!r} is no place that is read from here; upload the "
                "file, and send the storage_path that the complete upload has, `sha256:…`"
            )
        with self._store.snapshot(caller.organisation) as tx:
            blob = tx.blobs.get(digest)
        if blob is None:
            raise _no_file(digest)
        return blob

    def _claim(self, caller: Caller, digest: str) -> None:
        with self._store.transaction(caller.organisation) as tx:
            if not tx.blobs.claim(digest, self._clock()):
                raise _no_file(digest)


def _weights(blob: Blob, wanted: str | None, files: Sequence[VersionFile]) -> Blob:
    """Return a file as the weights of the ONNX model among a version's files.

    Any bytes can be those, also what somebody else had looked through as a model of its own.

    Raises:
        BadRequestError: there is no such model.
    """
    if not any(each.format == Format.ONNX for each in files):
        raise _beside_onnx()
    return replace(blob, format=ONNX_DATA) if wanted == ONNX_DATA else blob


def _beside_onnx() -> BadRequestError:
    return BadRequestError(
        f"{ONNX_DATA} goes with an ONNX model only; add it to a version that has one"
    )


def is_torch(format_: str) -> bool:
    """Tell whether a file is what a client means that asks for `pytorch`."""
    return format_ in TORCH_FORMATS


def _no_file(digest: str) -> NotFoundError:
    return NotFoundError(
        f"storage_path: no file with the SHA-256 {digest} was uploaded; upload it first"
    )


def _check_promise(creation: VersionCreation, blob: Blob) -> None:
    _check_format(creation.format, blob)
    checksum = (creation.checksum or blob.digest).removeprefix(SHA256_PREFIX).lower()
    if checksum != blob.digest:
        raise ConflictError(
            f"checksum: the file has the SHA-256 {blob.digest}, not {checksum}",
            {"sha256": blob.digest},
        )
    if creation.size_bytes not in (None, blob.size_bytes):
        raise ConflictError(
            f"size_bytes: the file has {blob.size_bytes} bytes, not {creation.size_bytes}"
        )


def _check_format(wanted: str | None, blob: Blob) -> None:
    """Return if a file is of the format that its sender says.

    Raises:
        BadRequestError: its content is something else.
    """
    same = wanted in (None, blob.format) or (wanted == Format.PYTORCH and is_torch(blob.format))
    if not same:
        raise BadRequestError(
            f"format: the file is {blob.format}, as its content tells, not {wanted}"
        )
