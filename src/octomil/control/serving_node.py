"""A serving node beside the control plane: started, watched and ended with it."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Self

_FIRST_WAIT_S = 1.0
_LONGEST_WAIT_S = 60.0
_STEADY_S = 60.0  # a node that ran for so long is brought back without much patience
_PATIENCE_S = 10.0  # beyond the node's own time to drain


class ServingNode:
    """`octomil serve` as a child process, brought back with growing patience when it dies.

    The child holds one end of a pipe whose other end is here. When this process is gone, however
    it went, the pipe ends and the child drains and ends as well.

    Args:
        flags: what follows `octomil serve`.
        drain_s: seconds the node's running requests get to finish at the end.
        say: called with a line when the node died.
    """

    def __init__(self, flags: Sequence[str], *, drain_s: float, say: Callable[[str], None]) -> None:
        self._flags = flags
        self._drain_s = drain_s
        self._say = say
        self._ended = threading.Event()
        self._child: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()  # a child is not started while it is being ended
        self._lifeline_end, self._lifeline = os.pipe()
        self._watcher = threading.Thread(target=self._watch, name="serving node", daemon=True)

    def __enter__(self) -> Self:
        self._watcher.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with self._lock:
            self._ended.set()
            os.close(self._lifeline)  # the node drains
        child = self._child
        if child is not None:
            try:
                child.wait(self._drain_s + _PATIENCE_S)
            except subprocess.TimeoutExpired:
                child.kill()
        self._watcher.join()
        os.close(self._lifeline_end)

    def _watch(self) -> None:
        wait_s = _FIRST_WAIT_S
        while (child := self._start()) is not None:
            began_s = time.monotonic()
            status = child.wait()
            if self._ended.is_set():
                return
            if time.monotonic() - began_s > _STEADY_S:
                wait_s = _FIRST_WAIT_S
            self._say(f"[up] The serving node {_how(status)}; starting it again in {wait_s:g} s")
            if self._ended.wait(wait_s):
                return
            wait_s = min(2 * wait_s, _LONGEST_WAIT_S)

    def _start(self) -> "subprocess.Popen[bytes] | None":
        with self._lock:
            if self._ended.is_set():
                return None
            self._child = subprocess.Popen(  # noqa: S603 - our own program
                [
                    *(sys.executable, "-m", "octomil.cli.main", "serve", *self._flags),
                    *("--lifeline", str(self._lifeline_end)),
                ],
                stdin=subprocess.DEVNULL,
                pass_fds=(self._lifeline_end,),
                start_new_session=True,  # Ctrl-C goes to the parent, which ends it in order
            )
            return self._child


def _how(status: int) -> str:
    return f"ended with status {status}" if status >= 0 else f"was ended by signal {-status}"
