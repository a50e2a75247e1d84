"""Where a blob lies, the same in a folder and in a bucket, and an upload on its way there."""

import re

from octomil.errors import BadRequestError, NotFoundError

UPLOADS = "uploads"

_DIGEST = re.compile(r"[0-9a-f]{64}")
_UPLOAD_ID = re.compile(r"[A-Za-z0-9_-]{1,128}")


def is_digest(text: str) -> bool:
    """Tell whether a text is a SHA-256 as blobs are named: 64 hexadecimal digits, in lower case."""
    return _DIGEST.fullmatch(text) is not None


def key_of(digest: str) -> str:
    """Return a blob's key: two levels of folders keep each of them small.

    Raises:
        BadRequestError: `digest` is not 64 hexadecimal digits, in lower case.

    Example:
        >>> key_of("abcd" + "0" * 60)[:17]
        'sha256/ab/cd/abcd'
    """
    if not is_digest(digest):
        raise BadRequestError(f"{digest!r} is no SHA-256; write its 64 hexadecimal digits")
    return f"sha256/{digest[:2]}/{digest[2:4]}/{digest}"


def require_upload_id(upload_id: str) -> None:
    """Return if a text can be the id of an upload, and so a part of a path.

    Raises:
        BadRequestError: it cannot.
    """
    if not _UPLOAD_ID.fullmatch(upload_id):
        raise BadRequestError(f"{upload_id!r} is no id of an upload")


def upload_key(upload_id: str) -> str:
    """Return the prefix of an upload's segments in a bucket.

    Raises:
        BadRequestError: `upload_id` is none.
    """
    require_upload_id(upload_id)
    return f"{UPLOADS}/{upload_id}"


def no_blob(digest: str) -> NotFoundError:
    """Return the error for a blob that is not there."""
    return NotFoundError(f"there is no blob {digest}")
