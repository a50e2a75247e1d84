"""What the control plane only logs, because it goes on."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager


class Troubles(logging.Handler):
    """Keeps what the control plane logs that it could not do."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.told: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep one, with the error that it comes from."""
        error = record.exc_info[1] if record.exc_info else None
        self.told.append(f"{record.getMessage()}: {error!r}")


@contextmanager
def reported() -> Iterator[list[str]]:
    """Yield what could not be done in the block; a job that steers logs that, and goes on."""
    log, troubles = logging.getLogger("octomil.control"), Troubles()
    is_propagated, log.propagate = log.propagate, False
    log.addHandler(troubles)
    try:
        yield troubles.told
    finally:
        log.removeHandler(troubles)
        log.propagate = is_propagated
