"""Lines on the standard output, each in one piece, whichever threads speak at the same time."""

import sys
from threading import Lock

_lock = Lock()


def say(line: str) -> None:
    """Write a line at once, for people and for programs that wait for it.

    `print` writes a line and its end one after the other, and another thread's may come between.
    """
    with _lock:
        sys.stdout.write(f"{line}\n")
        sys.stdout.flush()
