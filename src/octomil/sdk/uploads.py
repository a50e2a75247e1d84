"""A file on its way to the control plane: whole in one form, or in pieces that are acknowledged.

A small file goes in one request. A large one goes piece by piece, and the id of its upload is kept
on this machine until a version was made of it, so that a later call, in another process even, goes
on where this one stopped.
"""

import hashlib
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

from octomil.errors import ConflictError, InvalidModelFileError, NotFoundError
from octomil.http.api import ApiClient, path_to
from octomil.http.exchange import Request
from octomil.http.records import Record
from octomil.models.partial import read_json, write_json

Report = Callable[[str, int, int], None]
"""Called with a file's name, the bytes that are over, and the bytes there are."""

PIECE_BYTES = 8 << 20
_COMPLETION_S = 900.0  # the server reads the whole file again


class CountedFile(io.FileIO):
    """A file that tells how much of it was read.

    Args:
        path: the file.
        report: is told.
    """

    def __init__(self, path: Path, report: Report) -> None:
        super().__init__(path)
        self._report = report
        self._label = path.name
        self._size_bytes = path.stat().st_size

    def read(self, size: int | None = -1, /) -> bytes:
        """Return the next bytes."""
        data = super().read(-1 if size is None else size)
        self._report(self._label, self.tell(), self._size_bytes)
        return data


class ResumableUpload:
    """A file's way in pieces.

    Args:
        api: the control plane.
        path: the file.
        notes: the folder where ids of uploads under way are kept.
        report: is told how far it is.
        format_: what it is, where its content does not tell: `onnx_data`.
    """

    def __init__(
        self,
        api: ApiClient,
        path: Path,
        notes: Path,
        report: Report,
        format_: str | None = None,
    ) -> None:
        self._api = api
        self._path = path
        self._report = report
        self._told = {} if format_ is None else {"format": format_}
        self._size_bytes = path.stat().st_size
        with path.open("rb") as file:
            self.sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        place = hashlib.sha256(f"{api.base_url} {self.sha256}".encode()).hexdigest()
        self._note = notes / f"{place}.json"

    def send(self) -> str:
        """Bring the whole file over; return the storage path that a version can be made of.

        Raises:
            InvalidModelFileError: the file became shorter while it was sent.
            UnsupportedMediaError: the file is no model that is taken.
            OctomilClientError: the control plane refuses, or does not answer.
        """
        upload = self._under_way() or self._begun()
        if not upload.is_complete:
            self._send_pieces(upload)
            request = Request(
                method="POST",
                path=path_to("uploads", upload.id, "complete"),
                json={"sha256": self.sha256, **self._told},
                timeout_s=_COMPLETION_S,
            )
            upload = self._api.call(request)
        return str(upload.storage_path)

    def forget(self) -> None:
        """Forget the upload: a version was made of it, or never will be."""
        self._note.unlink(missing_ok=True)

    def _under_way(self) -> Record | None:
        """Return the upload that an earlier call began."""
        upload_id = read_json(self._note).get("upload_id")
        if upload_id is None:
            return None
        try:
            upload: Record = self._api.get(path_to("uploads", upload_id))
        except NotFoundError:  # abandoned for too long
            return None
        return upload

    def _begun(self) -> Record:
        body = {"size_bytes": self._size_bytes, "name": self._path.name}
        upload: Record = self._api.post("/uploads", body)
        self._note.parent.mkdir(parents=True, exist_ok=True)
        write_json(self._note, {"upload_id": upload.id})
        return upload

    def _send_pieces(self, upload: Record) -> None:
        offset = int(upload.offset)
        with self._path.open("rb") as file:
            while offset < self._size_bytes:
                self._report(self._path.name, offset, self._size_bytes)
                file.seek(offset)
                piece = file.read(PIECE_BYTES)
                if not piece:
                    raise InvalidModelFileError(
                        f"{self._path} changed while it was sent: it had {self._size_bytes} bytes, "
                        f"and ends at or before byte {offset} now"
                    )
                offset = self._send_piece(upload.id, offset, piece)
        self._report(self._path.name, offset, self._size_bytes)

    def _send_piece(self, upload_id: str, offset: int, piece: bytes) -> int:
        """Send a piece; return where the upload stands."""
        request = Request(
            method="PATCH",
            path=path_to("uploads", upload_id),
            headers={"Upload-Offset": str(offset), "Content-Type": "application/octet-stream"},
            options={"content": piece},
        )
        try:
            return int(self._api.call(request).offset)
        except ConflictError as error:  # a try whose answer was lost had arrived
            stands: Any = error.details.get("offset")
            if not isinstance(stands, int) or stands == offset:
                raise
            return stands
