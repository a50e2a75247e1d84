"""Where a control plane is made to die: named places between two steps of what it does.

`bench.dying` wraps the named functions; nothing in the product knows of it.
"""

from dataclasses import dataclass
from enum import Enum, auto


class When(Enum):
    """Where in the course of a call its process dies."""

    BEFORE = auto()
    AFTER = auto()
    COMMITTED = auto()
    """Once the transaction around the call is on the disk, before anybody is told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """A place to die at.

    Attributes:
        target: the function, as `MODULE:QUALNAME`.
        when: where in its course.
        act: only when this act is noted; for `AuditRows.append` alone.
        at_start: met by the first start in a folder, before the server answers.
        command: what is to die, `up` or `backup`.
    """

    target: str
    when: When
    act: str | None = None
    at_start: bool = False
    command: str = "up"


_SERVICES, _STORES, _BLOBS = (f"octomil.control.{each}" for each in ("services", "stores", "blobs"))
_AUDIT = f"{_STORES}.audit:AuditRows.append"

GROUP = "octomil.control.writer:Writer._run_together"
"""What returns once the transactions of calls that write are committed, and nobody was told."""


def _before(target: str) -> Point:
    return Point(target=target, when=When.BEFORE)


def _after(target: str) -> Point:
    return Point(target=target, when=When.AFTER)


def _committed(target: str) -> Point:
    return Point(target=target, when=When.COMMITTED)


def _noted(act: str) -> Point:
    return Point(target=_AUDIT, when=When.AFTER, act=act)


def _answered_not(act: str) -> Point:
    return Point(target=_AUDIT, when=When.COMMITTED, act=act)


def _at_start(target: str) -> Point:
    return Point(target=target, when=When.AFTER, at_start=True)


POINTS = {
    "start.folder-marked": _at_start("octomil.control.data_folder:_check_format"),
    "start.tables-made": _at_start(f"{_STORES}.catalog:bring_up_to_date"),
    "start.key-made": _at_start(f"{_SERVICES}.api_keys:ApiKeyService.create"),
    "upload.begun-before-answer": _committed(f"{_SERVICES}.uploads:UploadService.begin"),
    "upload.piece-written-before-sync": _after(f"{_BLOBS}.spool:UploadSpool.append"),
    "upload.piece-synced-before-answer": _after(f"{_SERVICES}.uploads:UploadService.acknowledge"),
    "upload.looked-through": _before(f"{_STORES}.blobs:BlobLedgerRows.enter"),
    "upload.completed-before-commit": _after(f"{_STORES}.uploads:UploadRows.complete"),
    "upload.completed-before-answer": _committed(f"{_STORES}.uploads:UploadRows.complete"),
    "upload.forgotten-before-removed": _before(f"{_SERVICES}.uploads:UploadService.drop"),
    "blob.noted-before-moved": _before(f"{_BLOBS}.local:LocalBlobs.put"),
    "blob.renamed-before-folder-sync": _before(f"{_BLOBS}.local:sync_folder"),
    "blob.moved-before-row": _after(f"{_BLOBS}.local:LocalBlobs.put"),
    "version.row-before-files": _noted("version.create"),
    "version.files-before-commit": _after(f"{_STORES}.versions:VersionRows.add_file"),
    "version.committed-before-answer": _answered_not("version.create"),
    "publish.signed-before-commit": _after(f"{_STORES}.versions:VersionRows.put_manifest"),
    "publish.committed-before-answer": _answered_not("version.publish"),
    "alias.moved-before-commit": _noted("alias.move"),
    "alias.committed-before-answer": _answered_not("alias.move"),
    "delete.noted-before-commit": _noted("version.delete"),
    "delete.committed-before-answer": _answered_not("version.delete"),
    "device.noted-before-commit": _noted("device.register"),
    "device.committed-before-answer": _answered_not("device.register"),
    "gc.condemned-before-removed": _before(f"{_BLOBS}.local:LocalBlobs.delete"),
    "gc.removed-before-forgotten": _after(f"{_BLOBS}.local:LocalBlobs.delete"),
    "backup.half": Point(
        target="octomil.control.backups:_copy_file", when=When.AFTER, command="backup"
    ),
}
"""Name to place. A new one is one line here."""
