"""A serving node beside the control plane: started, watched and ended with it."""

import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from os import close, pipe
from types import TracebackType
from typing import Self

from octomil.config import serving_environment

_FIRST_WAIT_S = 1.0
_LONGEST_WAIT_S = 60.0
_STEADY_S = 60.0  # a node that ran for so long is brought back without much patience
_PATIENCE_S = 10.0  # beyond the node's own time to drain


class ServingNode:
    """`octomil serve` as a child process, brought back with growing patience when it dies.

    Its socket is opened here and handed down. So its address is known before it runs and stays the
    same, and who connects while it starts is answered once it has. The child also holds one end of
    a pipe whose other end is here: when this process is gone, however it went, the pipe ends, and
    the child drains and ends as well.

    Args:
        flags: what follows `octomil serve`.
        listener: an open listening socket of the loopback interface; closed at the end.
        drain_s: seconds the node's running requests get to finish at the end.
        say: called with a line when the node died.
        key: what its clients must show; given to the child by its environment, which other users
            of the machine cannot see, unlike its arguments. None leaves it as it is here.
    """

    def __init__(
        self,
        flags: Sequence[str],
        listener: socket.socket,
        *,
        drain_s: float,
        say: Callable[[str], None],
        key: str | None = None,
    ) -> None:
        self.key = key
        self.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        self._flags = flags
        self._listener = listener
        self._drain_s = drain_s
        self._say = say
        self._ended = threading.Event()
        self._child: subprocess.Popen[bytes] | None = None
        self._is_down = False
        self._lock = threading.Lock()  # a child is not started while it is being ended
        self._concerned: set[Callable[[], object]] = set()
        self._telling = threading.Lock()  # who leaves the set is not told any more
        self._lifeline_end, self._lifeline = pipe()
        self._watcher: threading.Thread | None = None

    @property
    def is_started(self) -> bool:
        """Whether anybody asked for it yet."""
        return self._watcher is not None

    @property
    def is_down(self) -> bool:
        """Whether it has died and was not started again yet."""
        return self._is_down

    @contextmanager
    def told_of_end(self, tell: Callable[[], object]) -> Iterator[None]:
        """Call `tell` each time that the process ends while the block runs; `is_down` by then.

        Args:
            tell: called in a thread of this node's; must not block or raise, nor be given twice.
        """
        with self._telling:
            self._concerned.add(tell)
        try:
            yield
        finally:
            with self._telling:
                self._concerned.remove(tell)

    def start(self) -> None:
        """Start it, unless that was done; it is ready when it answers."""
        with self._lock:
            if self._watcher is None and not self._ended.is_set():
                self._watcher = threading.Thread(
                    target=self._watch, name="serving node", daemon=True
                )
                self._watcher.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with self._lock:
            self._ended.set()
            close(self._lifeline)  # the node drains
        child = self._child
        if child is not None:
            try:
                child.wait(self._drain_s + _PATIENCE_S)
            except subprocess.TimeoutExpired:
                child.kill()
        if self._watcher is not None:
            self._watcher.join()
        close(self._lifeline_end)
        self._listener.close()

    def _watch(self) -> None:
        wait_s = _FIRST_WAIT_S
        while (child := self._start_child()) is not None:
            began_s = time.monotonic()
            status = child.wait()
            self._is_down = True
            self._tell_of_end()
            if self._ended.is_set():
                return
            if time.monotonic() - began_s > _STEADY_S:
                wait_s = _FIRST_WAIT_S
            self._say(f"[up] The serving node {_how(status)}; starting it again in {wait_s:g} s")
            if self._ended.wait(wait_s):
                return
            wait_s = min(2 * wait_s, _LONGEST_WAIT_S)

    def _tell_of_end(self) -> None:
        with self._telling:
            for tell in self._concerned:
                tell()

    def _start_child(self) -> "subprocess.Popen[bytes] | None":
        with self._lock:
            if self._ended.is_set():
                return None
            handed_down = (self._lifeline_end, self._listener.fileno())
            self._child = subprocess.Popen(  # noqa: S603 - our own program
                [
                    *(sys.executable, "-m", "octomil.cli.main", "serve", *self._flags),
                    *("--lifeline", str(handed_down[0]), "--listener", str(handed_down[1])),
                ],
                stdin=subprocess.DEVNULL,
                env=None if self.key is None else serving_environment(self.key),
                pass_fds=handed_down,
                start_new_session=True,  # Ctrl-C goes to the parent, which ends it in order
            )
            self._is_down = False
            return self._child


def _how(status: int) -> str:
    return f"ended with status {status}" if status >= 0 else f"was ended by signal {-status}"
