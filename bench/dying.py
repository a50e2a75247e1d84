"""`python -m bench.dying POINT [--nth N] [--hours H] -- WORDS`: `octomil WORDS`, until a point.

The process kills itself by SIGKILL when it passes the point for the N-th time since it was armed by
SIGUSR1; a point of the start is armed from the beginning. The point `none` is never met. By the
control plane's clock it is H hours later than it is.
"""

import argparse
import functools
import os
import signal
import sys
from collections.abc import Callable
from datetime import timedelta
from importlib import import_module
from threading import Event, Lock
from typing import Any

from bench.crash_points import GROUP, POINTS, Point, When

NONE = "none"


class Fate:
    """Counts the passes, and ends the process at the one that was chosen.

    Args:
        nth: which.
    """

    def __init__(self, nth: int) -> None:
        self.armed = Event()
        self._left = nth
        self._lock = Lock()
        self._is_due = False

    def passed(self) -> None:
        """Die, if this is the pass to die at."""
        if self._counts():
            _die()

    def passed_uncommitted(self) -> None:
        """Die once what was done until now is committed, if this is the pass to die at."""
        self._is_due = self._is_due or self._counts()

    def committed(self) -> None:
        """Die, if it is time to."""
        if self._is_due:
            _die()

    def _counts(self) -> bool:
        if not self.armed.is_set():
            return False
        with self._lock:
            self._left -= 1
            return self._left == 0


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.dying", description=__doc__)
    parser.add_argument("point", choices=[*POINTS, NONE])
    parser.add_argument("--nth", type=int, default=1)
    parser.add_argument("--hours", type=float, default=0.0)
    parser.add_argument("words", nargs="+")
    options = parser.parse_args()
    fate = Fate(options.nth)
    signal.signal(signal.SIGUSR1, lambda *_: fate.armed.set())
    if options.point != NONE:
        point = POINTS[options.point]
        put_point(point, fate)
        if point.at_start or point.command != "up":
            fate.armed.set()
    _set_clock(timedelta(hours=options.hours))
    from octomil.cli.main import main as octomil

    return octomil(options.words)


def put_point(point: Point, fate: Fate) -> None:
    """Wrap the function that a point names."""
    told = fate.passed_uncommitted if point.when is When.COMMITTED else fate.passed

    def wrapped(call: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        counts = point.act is None or args[1].operation == point.act
        if counts and point.when is When.BEFORE:
            told()
        result = call(*args, **kwargs)
        if counts and point.when is not When.BEFORE:
            told()
        return result

    def and_told(call: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        result = call(*args, **kwargs)
        fate.committed()
        return result

    _wrap(point.target, wrapped)
    if point.when is When.COMMITTED:
        _wrap(GROUP, and_told)


def _wrap(target: str, around: Callable[..., Any]) -> None:
    """Replace the function at `MODULE:QUALNAME` by `around(function, ...)`."""
    owner, name = function_at(target)
    original = getattr(owner, name)

    @functools.wraps(original)
    def replacement(*args: Any, **kwargs: Any) -> Any:
        return around(original, *args, **kwargs)

    setattr(owner, name, replacement)


def function_at(target: str) -> tuple[Any, str]:
    """Return what has the function at `MODULE:QUALNAME`, and its name there."""
    module, _, path = target.partition(":")
    owner: Any = import_module(module)
    *holders, name = path.split(".")
    for each in holders:
        owner = getattr(owner, each)
    return owner, name


def _set_clock(ahead: timedelta) -> None:
    """Let the composition root use a clock that is fast."""
    from octomil import compose_control

    def later() -> Any:
        return compose_control.utc_now() + ahead

    plain = compose_control.build_plane
    compose_control.build_plane = functools.partial(plain, clock=later)


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main())
