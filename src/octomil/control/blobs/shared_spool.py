"""Uploads under way that every replica can go on with: their bytes are in the bucket.

An upload is a chain of segments, objects that are named for the offset they begin at. Bytes gather
on this machine, and become segments when they are about to be acknowledged. A segment is put only
where none is, so that of two replicas that go on from the same offset one is refused.
"""

import hashlib
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

import obstore
from obstore.exceptions import AlreadyExistsError
from obstore.store import ObjectStore

from octomil.control.blobs.bucket import reached
from octomil.control.blobs.layout import UPLOADS, upload_key
from octomil.control.blobs.spool import UploadSpool
from octomil.control.records import SpooledFile
from octomil.errors import ConflictError, NotFoundError

if TYPE_CHECKING:
    from obstore import ObjectMeta

SEGMENT_BYTES = 16 << 20
"""At most; a segment is held in memory while it is sent."""

_PIECE_BYTES = 1 << 20
_ALWAYS = datetime.max.replace(tzinfo=UTC)


@dataclass(slots=True)
class _Here:
    """What this replica has of an upload.

    Attributes:
        start: the offset of the first byte that is not in the bucket.
        gathered: what the whole is called in the folder for wholes, once it was brought here.
        users: calls that are at it, or wait for their turn.
    """

    start: int = 0
    gathered: str | None = None
    users: int = 0
    lock: Lock = field(default_factory=Lock)


class SharedSpool:
    """Keeps uploads in a bucket, and what is not acknowledged yet in a folder.

    Bytes that were not synced may be sent again, here or to another replica.

    Args:
        folder: of this replica alone, made if need be; what an earlier run left there goes.
        bucket: the same for all replicas.
    """

    def __init__(self, folder: Path, bucket: ObjectStore) -> None:
        self._bucket = bucket
        self._tails = UploadSpool(folder)
        self._wholes = UploadSpool(folder / "whole")
        for spool in (self._tails, self._wholes):
            for left in spool.untouched(_ALWAYS):
                spool.drop(left)
        self._here: dict[str, _Here] = {}
        self._lock = Lock()

    def close(self) -> None:
        """Give up what is being read to be finished, by a `ServiceUnavailableError`; it stays."""
        for spool in (self._tails, self._wholes):
            spool.close()

    def offset(self, upload_id: str) -> int:
        """Return where an upload can be gone on with; 0 for one that has not begun."""
        stands = _end(self._segments(upload_id))
        here = self._here.get(upload_id)  # without its turn: the one under way may take minutes
        is_last = here is not None and here.start == stands
        return stands + self._tails.offset(upload_id) if is_last else stands

    def append(self, upload_id: str, offset: int, data: bytes) -> int:
        """Add bytes to an upload and return the new offset.

        Raises:
            ConflictError: `offset` is not where the upload stands; `details["offset"]` says where.
            InsufficientSpaceError: the disk is full; the upload stands where it stood.
            ServiceUnavailableError: the object store does not answer.
        """
        with self._turn(upload_id) as here:
            waiting = self._tails.offset(upload_id)
            if not waiting or offset != here.start + waiting:
                self._go_on_at(upload_id, here, offset)
            return here.start + self._tails.append(upload_id, offset - here.start, data)

    def sync(self, upload_id: str) -> None:
        """Make what is here of an upload survive the loss of this replica.

        Raises:
            NotFoundError: there is no such upload.
            ConflictError: another replica went on from the same offset.
            ServiceUnavailableError: the object store does not answer.
        """
        with self._turn(upload_id) as here:
            if self._tails.offset(upload_id):
                self._send(upload_id, here)
            elif not self._tails.has(upload_id) and not self._segments(upload_id):
                raise NotFoundError(f"there is no upload {upload_id!r}")

    def finish(self, upload_id: str) -> SpooledFile:
        """Bring a whole upload together on this machine, and return it.

        One that was never synced is here already, and does not pass through the bucket.

        Raises:
            NotFoundError: there is no such upload.
            InsufficientSpaceError: the disk is full.
            ServiceUnavailableError: the object store does not answer, or the end came first.
        """
        with self._turn(upload_id) as here:
            segments = self._segments(upload_id)
            if not segments:
                return self._tails.finish(upload_id)
            if self._tails.offset(upload_id) and here.start == _end(segments):
                self._send(upload_id, here)
                segments = self._segments(upload_id)
            return self._gather(here, segments)

    def drop(self, upload_id: str) -> None:
        """Forget an upload; one that is not there is no error."""
        with self._turn(upload_id) as here:
            self._tails.drop(upload_id)
            if here.gathered is not None:
                self._wholes.drop(here.gathered)
            here.start, here.gathered = 0, None
            keys = [entry["path"] for entry in self._entries(upload_key(upload_id))]
            with reached():
                try:
                    obstore.delete(self._bucket, keys)
                except FileNotFoundError:  # another replica drops it, too
                    return

    def untouched(self, since: datetime) -> Sequence[str]:
        """Return the ids of uploads that did not grow since a moment, here or in the bucket."""
        grew: dict[str, datetime] = defaultdict(lambda: datetime.min.replace(tzinfo=UTC))
        for entry in self._entries(UPLOADS):
            upload_id = entry["path"].split("/")[1]
            grew[upload_id] = max(grew[upload_id], entry["last_modified"])
        wholes = set(self._wholes.untouched(since))
        with self._lock:
            gathered = {name for name, here in self._here.items() if here.gathered in wholes}
        in_bucket = {upload_id for upload_id, at in grew.items() if at < since}
        return sorted(in_bucket.union(gathered, self._tails.untouched(since)))

    def adopt(self, path: Path) -> SpooledFile:
        """Take in a file of this machine that is complete; it survives a loss of power then."""
        return self._tails.adopt(path)

    @property
    def scratch(self) -> Path:
        """A folder beside the uploads, emptied at the start."""
        return self._tails.scratch

    @contextmanager
    def _turn(self, upload_id: str) -> Iterator[_Here]:
        """Keep the other calls for an upload out; what is known of idle ones with nothing goes."""
        upload_key(upload_id)  # refuses what is no id
        with self._lock:
            here = self._here.setdefault(upload_id, _Here())
            here.users += 1
        try:
            with here.lock:
                yield here
        finally:
            with self._lock:
                here.users -= 1
                has_bytes = self._tails.has(upload_id) or here.gathered is not None
                if not here.users and not has_bytes:
                    del self._here[upload_id]

    def _go_on_at(self, upload_id: str, here: _Here, offset: int) -> None:
        """Let the next bytes follow the last segment; those that follow it already go.

        Raises:
            ConflictError: that is not at `offset`.
        """
        stands = _end(self._segments(upload_id))
        if offset != stands:
            raise _stands_at(stands, offset)
        self._tails.drop(upload_id)
        here.start = offset

    def _send(self, upload_id: str, here: _Here) -> None:
        """Make segments of the bytes here."""
        tail, offset = self._tails.finish(upload_id), here.start
        with tail.path.open("rb") as file:
            while segment := file.read(SEGMENT_BYTES):
                self._put(upload_id, offset, segment)
                offset += len(segment)
        self._tails.drop(upload_id)
        here.start = offset

    def _put(self, upload_id: str, offset: int, segment: bytes) -> None:
        try:
            with reached():
                key = f"{upload_key(upload_id)}/{offset:016}"
                obstore.put(self._bucket, key, segment, mode="create")
        except AlreadyExistsError:
            self._tails.drop(upload_id)
            raise _stands_at(_end(self._segments(upload_id)), offset) from None

    def _gather(self, here: _Here, segments: "Sequence[ObjectMeta]") -> SpooledFile:
        """Bring segments here; what an earlier call brought of the very same ones stays."""
        name = _fingerprint(segments)
        if here.gathered not in (None, name):
            self._wholes.drop(str(here.gathered))
        here.gathered = name
        present, begin = self._wholes.offset(name), 0
        for segment in segments:
            end = begin + segment["size"]
            if present < end:
                present = self._fetch(segment["path"], present - begin, end - begin, name, present)
            begin = end
        return self._wholes.finish(name)

    def _fetch(self, key: str, start: int, end: int, name: str, present: int) -> int:
        """Append the rest of a segment to a whole; return the whole's new size."""
        with reached():
            found = obstore.get(self._bucket, key, options={"range": (start, end)})
            for piece in found.stream(min_chunk_size=_PIECE_BYTES):
                self._wholes.require_open()
                present = self._wholes.append(name, present, bytes(piece))
        return present

    def _segments(self, upload_id: str) -> "Sequence[ObjectMeta]":
        """Return the segments that follow each other from offset 0 on."""
        chain, stands = [], 0
        for entry in sorted(self._entries(upload_key(upload_id)), key=lambda each: each["path"]):
            if int(entry["path"].rpartition("/")[2]) == stands:
                chain.append(entry)
                stands += entry["size"]
        return chain

    def _entries(self, prefix: str) -> "Iterator[ObjectMeta]":
        with reached():
            for page in obstore.list(self._bucket, prefix):
                yield from page


def _end(segments: "Sequence[ObjectMeta]") -> int:
    return sum(segment["size"] for segment in segments)


def _fingerprint(segments: "Sequence[ObjectMeta]") -> str:
    """Return a name that only these very objects have."""
    told = [(each["path"], each["size"], each["e_tag"], each["last_modified"]) for each in segments]
    return hashlib.sha256(repr(told).encode()).hexdigest()


def _stands_at(stands: int, offset: int) -> ConflictError:
    return ConflictError(
        f"the upload stands at byte {stands}, not at {offset}; go on from there",
        {"offset": stands},
    )
