"""How much memory the bodies of all requests together may take; before a key is even looked at."""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Hold = Callable[[int], None]
"""Counts some more bytes, or raises `NoMemoryLeftError`."""


class NoMemoryLeftError(Exception):
    """The bodies of other requests take what there is."""


class NoShareLeftError(NoMemoryLeftError):
    """The bodies of the same client's other requests take what it may have."""


class BodyMemory:
    """Counts the bytes of bodies that are in memory; used from one event loop.

    Args:
        most_bytes: what all of them may have together.
        most_each_bytes: what those of one client may have.

    Example:
        >>> memory = BodyMemory(100, 80)
        >>> with memory.share("192.0.2.1") as hold:
        ...     hold(60)
        ...     memory.held_bytes
        60
        >>> memory.held_bytes
        0
    """

    def __init__(self, most_bytes: int, most_each_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._most_each_bytes = most_each_bytes
        self._held_bytes = 0
        self._held_bytes_of: Counter[str] = Counter()

    @property
    def held_bytes(self) -> int:
        """What is held now."""
        return self._held_bytes

    @contextmanager
    def share(self, whose: str) -> Iterator[Hold]:
        """Hold bytes of one request of the client `whose` until the block ends, however it does.

        What is yielded raises `NoMemoryLeftError` for bytes that there is no room for, and
        `NoShareLeftError` where the client itself has no more; they are not counted then.
        """
        held_bytes = 0

        def hold(size_bytes: int) -> None:
            nonlocal held_bytes
            if self._held_bytes_of[whose] + size_bytes > self._most_each_bytes:
                raise NoShareLeftError
            if self._held_bytes + size_bytes > self._most_bytes:
                raise NoMemoryLeftError
            self._held_bytes += size_bytes
            self._held_bytes_of[whose] += size_bytes
            held_bytes += size_bytes

        try:
            yield hold
        finally:
            self._held_bytes -= held_bytes
            self._held_bytes_of[whose] -= held_bytes
            if not self._held_bytes_of[whose]:
                del self._held_bytes_of[whose]
