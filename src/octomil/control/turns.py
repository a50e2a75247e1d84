"""Taking turns by name: two calls about one thing are one after the other, others do not wait."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Lock


@dataclass(slots=True)
class _Turn:
    """The lock of a name, and how many hold it or wait for it."""

    lock: Lock = field(default_factory=Lock)
    users: int = 0


class Turns:
    """One lock for each name that somebody is at."""

    def __init__(self) -> None:
        self._turns: dict[str, _Turn] = {}
        self._lock = Lock()

    @contextmanager
    def of(self, name: str) -> Iterator[None]:
        """Keep others out who are at the same name, once those before have ended."""
        with self._lock:
            turn = self._turns.setdefault(name, _Turn())
            turn.users += 1
        try:
            with turn.lock:
                yield
        finally:
            with self._lock:
                turn.users -= 1
                if not turn.users:
                    del self._turns[name]

    def is_taken(self, name: str) -> bool:
        """Tell whether somebody is at a name, or waits to be."""
        with self._lock:
            return name in self._turns
