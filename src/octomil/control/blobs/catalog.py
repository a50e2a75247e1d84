"""Which blob store a URL means."""

from pathlib import Path
from urllib.parse import unquote, urlsplit

from octomil.control.ports import BlobStore
from octomil.errors import ConfigurationError

_REMOTE = ("s3", "gs", "az")


def open_blobs(url: str) -> BlobStore:
    """Open `file:///PATH`, `s3://BUCKET/PREFIX`, `gs://BUCKET/PREFIX` or `az://CONTAINER/PREFIX`.

    Raises:
        ConfigurationError: the URL makes no sense.
    """
    parts = urlsplit(url)
    if parts.scheme == "file" and parts.path and not parts.netloc:
        from octomil.control.blobs.local import LocalBlobs

        return LocalBlobs(Path(unquote(parts.path)))
    if parts.scheme in _REMOTE and parts.netloc:
        from octomil.control.blobs.remote import RemoteBlobs

        return RemoteBlobs(url)
    raise ConfigurationError(
        f"{url!r} names no place for blobs; write file:///PATH, s3://BUCKET, gs://BUCKET or "
        "az://CONTAINER"
    )
