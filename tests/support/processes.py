"""Processes that others started: found, though some end while one looks, or held back."""

import errno
import os
from pathlib import Path

import psutil

_WAIT = """
import os, sys
if os.environ["HELD_BACK"] in sys.orig_argv:
    open(os.environ["HELD_BACK_AT"]).close()
"""


def below(pid: int, *words: str) -> list[psutil.Process]:
    """The living processes below one, those with all these words in their command line.

    A zombie lives no more, and neither does what has ended between two looks.
    """
    found = []
    for child in psutil.Process(pid).children(recursive=True):
        try:
            if child.status() != psutil.STATUS_ZOMBIE and set(words) <= set(child.cmdline()):
                found.append(child)
        except psutil.NoSuchProcess:  # a zombie's command line, too
            continue
    return found


def is_gone(pid: int) -> bool:
    """Tell whether a process has ended, waited for by whoever is its parent now or not."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


class HeldBack:
    """Python processes that run a module, and begin when they are let go.

    Attributes:
        env: what whoever starts them must have in its environment.
    """

    def __init__(self, folder: Path, module: str) -> None:
        (folder / "sitecustomize.py").write_text(_WAIT)
        self._gate = folder / "gate"
        os.mkfifo(self._gate)
        path = os.pathsep.join([str(folder), *filter(None, [os.environ.get("PYTHONPATH")])])
        self.env = {"PYTHONPATH": path, "HELD_BACK": module, "HELD_BACK_AT": str(self._gate)}

    def let_go(self) -> bool:
        """Let the one that waits go on; tell whether there was one."""
        try:
            os.close(os.open(self._gate, os.O_WRONLY | os.O_NONBLOCK))
        except OSError as error:
            if error.errno != errno.ENXIO:
                raise
            return False
        return True
