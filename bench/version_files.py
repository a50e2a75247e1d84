"""Published versions with files that are really kept, made without the upload."""

from datetime import datetime
from pathlib import Path

from octomil.control.plane import ControlPlane
from octomil.control.ports import Transaction
from octomil.control.records import Version, VersionFile
from octomil.registry.lifecycle import VersionState


def kept_file(plane: ControlPlane, folder: Path, content: bytes, now: datetime) -> VersionFile:
    """Keep a content among the blobs; return the file of a version that refers to it.

    Args:
        plane: whose blobs.
        folder: where the content lies for a moment, on the same machine.
        content: anything.
        now: when it is noted to be made.
    """
    coming = folder / "coming"
    coming.write_bytes(content)
    file = plane.spool.adopt(coming)
    plane.blobs.put(file)
    return VersionFile(
        format="onnx",
        digest=file.digest,
        size_bytes=file.size_bytes,
        origin="original",
        name="model.onnx",
        created_at=now,
    )


def add_published(
    tx: Transaction, model_id: str, number: str, digest: str, file: VersionFile
) -> None:
    """Add a published version with one file, as if it had been uploaded when the file was made.

    Args:
        tx: whose it is to be.
        model_id: of which model.
        number: not taken yet.
        digest: of its manifest, 64 hexadecimal digits.
        file: kept already.
    """
    made = Version(
        id=f"ver_{model_id}_{number}",
        organisation=tx.organisation,
        model_id=model_id,
        number=number,
        state=VersionState.PUBLISHED,
        metrics={},
        digest=digest,
        created_at=file.created_at,
        updated_at=file.created_at,
    )
    assert tx.versions.add(made)
    assert tx.versions.add_file(made.id, file)
