"""Waiting for what a running node will do by itself, without guessing how long that takes."""

from collections.abc import Callable
from time import monotonic, sleep
from typing import TypeVar

import psutil

from support.serving import ServeProcess

PATIENCE_S = 120.0
"""Only ever spent by a test that fails."""

PAUSE_S = 0.02
"""Between two looks, so that looking does not slow down what is waited for."""

ResultT = TypeVar("ResultT")


def eventually(look: Callable[[], ResultT]) -> ResultT:
    """Look again and again until there is something to see, and return it."""
    deadline = monotonic() + PATIENCE_S
    while not (seen := look()):
        assert monotonic() < deadline, "it never happened"
        sleep(PAUSE_S)
    return seen


def url_while_loading(served: ServeProcess) -> str:
    """Where a node listens that has not said so yet."""

    def port() -> int | None:
        assert served.process.poll() is None, "\n".join(served.errors)
        found = psutil.Process(served.process.pid).net_connections("tcp")
        return next((c.laddr.port for c in found if c.status == psutil.CONN_LISTEN), None)

    return f"http://127.0.0.1:{eventually(port)}"
