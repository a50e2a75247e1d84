"""Ending with the process that started this one, however that one went."""

import contextlib
import os
import signal
import threading


def drain_with(lifeline: int) -> None:
    """Send this process SIGTERM once the other end of a pipe is closed.

    Args:
        lifeline: this end; nothing is ever written to the other.
    """

    def wait() -> None:
        with contextlib.suppress(OSError):  # no pipe at all is an end as well
            while os.read(lifeline, 1):
                pass
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=wait, name="lifeline", daemon=True).start()
