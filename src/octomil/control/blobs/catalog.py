"""Which blob store a URL means, and where the uploads under way are kept beside it."""

from pathlib import Path
from urllib.parse import unquote, urlsplit

from octomil.control.blobs.spool import UploadSpool
from octomil.control.ports import BlobStore, Spool
from octomil.errors import ConfigurationError

_REMOTE = ("s3", "gs", "az")


def open_blobs(url: str) -> BlobStore:
    """Open `file:///PATH`, `s3://BUCKET/PREFIX`, `gs://BUCKET/PREFIX` or `az://CONTAINER/PREFIX`.

    Raises:
        ConfigurationError: the URL makes no sense.
    """
    path = _local_path(url)
    if path is not None:
        from octomil.control.blobs.local import LocalBlobs

        return LocalBlobs(path)
    from octomil.control.blobs.bucket import open_bucket
    from octomil.control.blobs.remote import RemoteBlobs

    return RemoteBlobs(open_bucket(url))


def open_spool(url: str, folder: Path) -> Spool:
    """Open the place of the uploads under way, beside the blobs at `url`.

    Args:
        url: as for :func:`open_blobs`. Uploads on their way into a bucket can be gone on with by
            every replica that has the same one.
        folder: what is of this machine alone; made if need be.

    Raises:
        ConfigurationError: the URL makes no sense.
    """
    if _local_path(url) is not None:
        return UploadSpool(folder)
    from octomil.control.blobs.bucket import open_bucket
    from octomil.control.blobs.shared_spool import SharedSpool

    return SharedSpool(folder, open_bucket(url))


def _local_path(url: str) -> Path | None:
    """Return the folder that a URL names, or None if it names a bucket.

    Raises:
        ConfigurationError: it names neither.
    """
    parts = urlsplit(url)
    if parts.scheme == "file" and parts.path and not parts.netloc:
        return Path(unquote(parts.path))
    if parts.scheme in _REMOTE and parts.netloc:
        return None
    raise ConfigurationError(
        f"{url!r} names no place for blobs; write file:///PATH, s3://BUCKET, gs://BUCKET or "
        "az://CONTAINER"
    )
