"""What is told about a disk that cannot be written, whoever met it: a file or the database."""

import errno
from typing import Final

NO_SPACE: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})

FULL: Final = "the disk is full and nothing was changed; free some space, and try again"
READ_ONLY: Final = (
    "the disk can only be read and nothing was changed; make it writable, and try again"
)
"""Neither needs a restart."""

_TOLD: Final = dict.fromkeys(NO_SPACE, FULL) | {errno.EROFS: READ_ONLY}


def told_of_disk(error: OSError) -> str | None:
    """Return what to do about a disk that cannot be written; None if it is something else.

    Example:
        >>> told_of_disk(OSError(errno.EROFS, "Read-only file system"))[:26]
        'the disk can only be read '
    """
    return _TOLD.get(error.errno or 0)
