"""Starting, watching and ending a worker process."""

import asyncio
import contextlib
import json
import os
import secrets
import shutil
import signal
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

from octomil.engines.llama_cpp.spec import WorkerSpec
from octomil.errors import EngineError

_SOCKET_PATH_BYTES = 103  # the least any supported system allows, its closing zero aside
_STOP_S = 3.0
_MODULE = "octomil.engines.llama_cpp.worker"


class WorkerProcess:
    """One worker, from start to end.

    Attributes:
        key: the bearer token it asks for.
        socket: path of the Unix socket it serves on.
    """

    def __init__(self, spec: WorkerSpec) -> None:
        self.key = secrets.token_urlsafe(32)
        self._spec = spec
        self._folder = Path(tempfile.mkdtemp(prefix="octomil-"))  # mode 0700
        self.socket = str(self._folder / "w.sock")  # llama.cpp wants this ending
        self._log = self._folder / "worker.log"
        self._lifeline: int | None = None
        self._process: asyncio.subprocess.Process | None = None

    @property
    def pid(self) -> int | None:
        """The worker's process id, once it was started."""
        return self._process.pid if self._process else None

    async def start(self) -> None:
        """Start the worker and return when its model is loaded.

        Raises:
            EngineError: it could not load; the message has the cause it logged.
        """
        if len(self.socket.encode()) > _SOCKET_PATH_BYTES:
            raise EngineError(
                f"the temporary folder's path is too long for a socket: {self.socket}; "
                "set TMPDIR to a shorter one"
            )
        status, status_end = os.pipe()
        try:
            process = await self._spawn(status_end)
        except BaseException:
            os.close(status)
            raise
        finally:
            os.close(status_end)
        report = await _read_report(status)
        if "ready" not in report:
            code = await process.wait()
            cause = report.get("error") or describe_exit(code)
            raise EngineError(f"{self._spec.path} could not be loaded: {cause}{self._log_tail()}")

    async def _spawn(self, status_end: int) -> asyncio.subprocess.Process:
        """Start the process and tell it what to run."""
        lifeline_end, self._lifeline = os.pipe()
        try:
            with self._log.open("wb") as log:
                self._process = await asyncio.create_subprocess_exec(
                    *(sys.executable, "-m", _MODULE, str(lifeline_end), str(status_end)),
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    pass_fds=(lifeline_end, status_end),
                    start_new_session=True,  # Ctrl-C goes to the parent, which ends us in order
                )
            os.write(self._lifeline, self._config())
        finally:
            os.close(lifeline_end)
        return self._process

    async def wait(self) -> str:
        """Return how the worker ended, once it has."""
        if self._process is None:
            raise EngineError("the worker was never started")
        return describe_exit(await self._process.wait()) + self._log_tail()

    def is_running(self) -> bool:
        """Tell whether the process is there."""
        return self._process is not None and self._process.returncode is None

    async def stop(self) -> None:
        """End the worker and remove its folder; stopping twice is harmless."""
        if self._lifeline is not None:
            os.close(self._lifeline)
            self._lifeline = None
        if self._process is not None and self._process.returncode is None:
            try:
                await asyncio.wait_for(self._process.wait(), _STOP_S)
            except TimeoutError:
                with contextlib.suppress(ProcessLookupError):
                    self._process.kill()
                await self._process.wait()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _config(self) -> bytes:
        config = asdict(self._spec) | {
            "path": str(self._spec.path),
            "socket": self.socket,
            "folder": str(self._folder),
            "key": self.key,
        }
        return json.dumps(config).encode() + b"\n"

    def _log_tail(self) -> str:
        """Return the last lines that name a fault, for an error message."""
        try:
            text = self._log.read_text(errors="replace")
        except OSError:
            return ""
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        telling = [line for line in lines if " E " in line or "error" in line.lower()] or lines
        return "".join(f"\n  {line[:300]}" for line in telling[-4:])


async def _read_report(status: int) -> dict[str, str]:
    """Read the worker's one line; an empty report means that it died without a word."""
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    transport, _ = await loop.connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(status, "rb", buffering=0)
    )
    try:
        line = await reader.readline()
    finally:
        transport.close()
    report: dict[str, str] = json.loads(line) if line else {}
    return report


def describe_exit(code: int) -> str:
    """Say in words how a process ended."""
    if code >= 0:
        return f"the worker exited with status {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    hint = "; the machine may be out of memory" if code == -signal.SIGKILL else ""
    return f"the worker was ended by {name}{hint}"
