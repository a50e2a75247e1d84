"""When devices were last seen and keys last used: noted in memory, written in batches."""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from threading import Lock

from octomil.control.ports import Clock, Store, SystemTransaction

FLUSHED_S = 5.0
"""So much of it a crash may lose."""


class LastSeen:
    """Notes who was here, in whichever thread.

    Args:
        store: where the notes go.
        clock: tells the time.
        write_down: writes notes of that kind.
    """

    def __init__(
        self,
        store: Store,
        clock: Clock,
        write_down: Callable[[SystemTransaction, Iterable[tuple[str, datetime]]], None],
    ) -> None:
        self._store = store
        self._clock = clock
        self._write_down = write_down
        self._noted: dict[str, datetime] = {}
        self._lock = Lock()

    def __len__(self) -> int:
        return len(self._noted)

    def note(self, who: str) -> None:
        """Note that a device or a key was here just now, by its id."""
        now = self._clock()
        with self._lock:
            self._noted[who] = now

    def take(self) -> Mapping[str, datetime]:
        """Return what was noted since the last time."""
        with self._lock:
            noted, self._noted = self._noted, {}
        return noted

    def write(self, noted: Mapping[str, datetime]) -> None:
        """Write notes down, all at once."""
        if noted:
            with self._store.system() as tx:
                self._write_down(tx, noted.items())

    def put_back(self, noted: Mapping[str, datetime], error: BaseException) -> None:
        """Keep notes for the next time, whyever they were not written."""
        with self._lock:
            self._noted = {**noted, **self._noted}
