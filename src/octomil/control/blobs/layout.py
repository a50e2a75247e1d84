"""Where a blob lies, the same in a folder and in a bucket."""

import re

from octomil.errors import BadRequestError, NotFoundError

_DIGEST = re.compile(r"[0-9a-f]{64}")


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


def no_blob(digest: str) -> NotFoundError:
    """Return the error for a blob that is not there."""
    return NotFoundError(f"there is no blob {digest}")
