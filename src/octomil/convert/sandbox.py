"""The sandbox: a child process with an empty environment, bounded, alone in a folder of its own.

The server's own process never parses what somebody uploaded.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from threading import Lock
from typing import Any

from octomil.errors import InsufficientSpaceError

_MAX_ANSWER_BYTES = 1 << 20
_SHOWN_CHARS = 300
_UNCAUGHT = 1  # what Python ends with after an error that nobody caught


class SandboxError(Exception):
    """The child gave no answer: it ran out of what it was given, or died."""


class SandboxFaultError(SandboxError):
    """The child's own program failed: an error that nobody foresaw, or it could not be imported."""


class SandboxEndedError(Exception):
    """The child was ended together with all others; nothing is known of its work."""


class Children:
    """The children at work, so that none outlives the server."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._at_work: set[subprocess.Popen[bytes]] = set()
        self._have_ended = False

    @contextmanager
    def run(self, command: Sequence[str], **options: Any) -> Iterator["subprocess.Popen[bytes]"]:
        """Start a child, and end it and those it started when the block ends.

        Raises:
            SandboxEndedError: all were ended, before or meanwhile.
        """
        with self._lock:
            if self._have_ended:
                raise SandboxEndedError
            child = subprocess.Popen(command, **options)  # noqa: S603 - our own interpreter
            self._at_work.add(child)
        try:
            yield child
        finally:
            with self._lock:
                self._at_work.remove(child)
            _end(child)
            if self._have_ended:
                raise SandboxEndedError

    def end(self) -> None:
        """Kill all of them, and let none begin any more."""
        with self._lock:
            self._have_ended = True
            for child in self._at_work:
                _kill(child)


_ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
"""Libraries reserve address space for each thread, which is limited here; cores are many."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a child may use.

    Attributes:
        memory_bytes: of address space.
        file_bytes: of each file that it writes.
        cpu_s: of processor time.
        wall_s: until it is killed.
    """

    memory_bytes: int
    file_bytes: int
    cpu_s: int = 300
    wall_s: float = 600.0


@contextmanager
def sandbox(parent: Path | None = None) -> Iterator[Path]:
    """Make a folder for a child to work in, gone at the end of the block with all that is in it.

    Args:
        parent: where; the system's place for temporary files by default.
    """
    with tempfile.TemporaryDirectory(prefix="octomil-sandbox-", dir=parent) as folder:
        yield Path(folder)


def run_in_sandbox(
    *program: str,
    arguments: tuple[str, ...],
    folder: Path,
    limits: Limits,
    children: Children | None = None,
) -> dict[str, Any]:
    """Run a Python program in a child process and return the JSON object that it prints.

    Args:
        program: what the interpreter is to run, such as `-m octomil.convert.inspect_child`. It
            begins with `confinement.confine`.
        arguments: what follows the limits on its command line.
        folder: where it works; see `sandbox`.
        limits: what it may use.
        children: those that are ended together.

    Raises:
        SandboxError: it did not answer; `SandboxFaultError` where that is its program's fault.
        SandboxEndedError: all of `children` were ended.
        InsufficientSpaceError: nor could it have, on a disk that is full.
    """
    given = json.dumps({**asdict(limits), "parent_pid": os.getpid()})
    answer, complaint = folder / "answer.json", folder / "complaint.txt"
    with (
        answer.open("wb") as out,
        complaint.open("wb") as err,
        (children or Children()).run(
            [sys.executable, "-I", "-X", "utf8", *program, given, *arguments],
            cwd=folder,
            env={"TMPDIR": str(folder), "HOME": str(folder), **_ONE_THREAD},
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            start_new_session=True,
        ) as child,
    ):
        try:
            status = child.wait(limits.wall_s)
        except subprocess.TimeoutExpired:
            raise SandboxError(f"its reader took longer than {limits.wall_s:g} s") from None
    return _answer(answer, status, complaint)


def require_room(folder: Path) -> None:
    """Return if a child had room to write: else what it failed at is not the file's fault.

    Raises:
        InsufficientSpaceError: the disk is full.
    """
    if shutil.disk_usage(folder).free < _MAX_ANSWER_BYTES:
        raise InsufficientSpaceError("there is no room to look through the file")


def _end(child: "subprocess.Popen[bytes]") -> None:
    """Kill whatever is left of the child and those it started."""
    _kill(child)
    child.wait()


def _kill(child: "subprocess.Popen[bytes]") -> None:
    with suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)


def _answer(path: Path, status: int, complaint: Path) -> dict[str, Any]:
    with path.open("rb") as file:
        output = file.read(_MAX_ANSWER_BYTES)
    try:
        answer = json.loads(output) if status == 0 else None
    except ValueError:
        answer = None
    if isinstance(answer, dict):
        return answer
    require_room(path.parent)
    how = f"signal {-status}" if status < 0 else f"status {status}"
    kind = SandboxFaultError if status == _UNCAUGHT else SandboxError
    raise kind(f"its reader ended with {how}: {_last_line(complaint) or 'no word'}")


def _last_line(path: Path) -> str:
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - 4096))
        text = file.read().decode(errors="replace")
    return text.strip().rpartition("\n")[2][:_SHOWN_CHARS]
