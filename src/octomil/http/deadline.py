"""A moment by which something must have come, and who sees to it where a read blocks."""

import contextlib
import math
import socket
import threading
import time
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Self

from octomil.errors import ConfigurationError

LONGEST_S = 1_000_000.0


class Deadline:
    """A time that runs out, unless it is begun anew.

    Args:
        timeout_s: seconds, from now on and again from each :meth:`renew`.
        clock: a monotonic clock, in seconds.

    Raises:
        ConfigurationError: that is no time that anything can take.

    Example:
        >>> Deadline(120.0).is_over
        False
    """

    def __init__(self, timeout_s: float, *, clock: Callable[[], float] = time.monotonic) -> None:
        if not 0 < timeout_s <= LONGEST_S:
            raise ConfigurationError(
                f"timeout={timeout_s!r} is no time to wait; write seconds, such as timeout=120.0, "
                f"at most {LONGEST_S:,.0f}"
            )
        self.timeout_s = timeout_s
        self._clock = clock
        self._due_s = clock() + timeout_s

    @property
    def left_s(self) -> float:
        """Seconds that are left; none are less than zero, and a pause has infinitely many."""
        return max(0.0, self._due_s - self._clock())

    @property
    def is_over(self) -> bool:
        """Whether the time has run out."""
        return self.left_s == 0

    def renew(self) -> None:
        """Begin anew: what was waited for has come."""
        self._due_s = self._clock() + self.timeout_s

    def pause(self) -> None:
        """Let no time run until it is begun anew: nobody is waited for meanwhile."""
        self._due_s = math.inf


class Watchdog:
    """Wakes a blocking read when a deadline is over, by shutting its connection down.

    httpx bounds each wait for the next bytes; bytes that drip, or heartbeats, can go on for ever.
    Here a thread waits for the deadline. It costs nothing while bytes come, and whoever reads finds
    the connection at its end.
    """

    def __init__(self, deadline: Deadline) -> None:
        self._deadline = deadline
        self._lock = threading.Lock()
        self._left = threading.Event()
        self._socket: socket.socket | None = None
        self._has_barked = False

    def __enter__(self) -> Self:
        threading.Thread(target=self._watch, name="octomil-deadline", daemon=True).start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.release()
        self._left.set()

    def trace(self, _event: str, info: Mapping[str, Any]) -> None:
        """Take a connection as soon as it is made; httpx calls this, by its extension `trace`."""
        stream = info.get("return_value")
        if hasattr(stream, "get_extra_info"):
            self.guard(stream)

    def guard(self, network_stream: Any) -> None:
        """Shut this connection down when the deadline is over, and none that came before it."""
        connection = network_stream.get_extra_info("socket")
        with self._lock:
            self._socket = connection
            if self._has_barked:
                self._shut_down()

    def release(self) -> None:
        """Guard no connection any more; it may be used for something else, or closed."""
        with self._lock:
            self._socket = None

    def _watch(self) -> None:
        # Whoever renews the deadline need not wake this thread: a new one ends later than the old.
        while not self._deadline.is_over:
            if self._left.wait(min(self._deadline.left_s, self._deadline.timeout_s)):
                return
        with self._lock:
            self._has_barked = True
            self._shut_down()

    def _shut_down(self) -> None:
        if self._socket is not None:
            with contextlib.suppress(OSError):  # it was closed from the other end, or by its owner
                # Of the plain class: that of TLS would take its state away from under a read.
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)
