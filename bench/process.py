"""Start a server, wait until it answers, and end it again."""

import http.client
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from bench.cpu import on_cores
from bench.report import ROOT

LOGS = ROOT / ".cache" / "bench" / "logs"
HOST = "127.0.0.1"
_LISTENING = re.compile(r"^\[up\] Listening on http://[^\s/]*:(\d+)\n", re.MULTILINE)


class BenchError(RuntimeError):
    """A measurement cannot be taken, or would mean nothing."""


@dataclass(frozen=True, kw_only=True)
class Server:
    """A running server: its process and where it listens."""

    name: str
    pid: int
    port: int
    started_at_s: float
    log: Path


def octomil_program() -> Path:
    """The command line program beside the Python that runs the bench."""
    return Path(sys.executable).parent / "octomil"


def octomil_has(*command: str) -> bool:
    """Whether this tree has the command yet; the other columns can be measured without it."""
    if not octomil_program().exists():
        return False
    argv = [str(octomil_program()), *command, "--help"]
    return subprocess.run(argv, capture_output=True, check=False).returncode == 0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


@contextmanager
def serving(
    name: str,
    argv: Sequence[str],
    *,
    port: int,
    cores: set[int],
    env: Mapping[str, str] | None = None,
    logs: Path = LOGS,
) -> Iterator[Server]:
    """Run `argv` on `cores` in a session of its own; its output goes to a file in `logs`."""
    logs.mkdir(parents=True, exist_ok=True)
    log = logs / f"{name}.log"
    with log.open("wb") as output, on_cores(cores):
        started_at_s = time.perf_counter()
        process = subprocess.Popen(
            argv,
            cwd=ROOT,
            env=os.environ | dict(env or {}),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield Server(name=name, pid=process.pid, port=port, started_at_s=started_at_s, log=log)
    finally:
        _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(timeout=15)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    with suppress(ProcessLookupError):  # whatever of its session is still there
        os.killpg(process.pid, signal.SIGKILL)


def call(
    port: int,
    path: str,
    body: bytes | None = None,
    headers: Mapping[str, str] | None = None,
    timeout_s: float = 60,
) -> tuple[int, bytes]:
    """One request on a connection of its own; returns status and body."""
    connection = http.client.HTTPConnection(HOST, port, timeout=timeout_s)
    try:
        connection.request("GET" if body is None else "POST", path, body, dict(headers or {}))
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def wait_for_200(
    server: Server,
    path: str,
    body: bytes | None = None,
    headers: Mapping[str, str] | None = None,
    timeout_s: float = 120,
) -> float:
    """Ask until the answer is 200; returns seconds since the server was started.

    Raises:
        BenchError: the process ended or the time is up; the message ends with its log.
    """
    last = "no answer yet"
    while time.perf_counter() - server.started_at_s < timeout_s:
        try:
            status, answer = call(server.port, path, body, headers)
        except OSError as error:
            last = repr(error)
        else:
            if status == 200:
                return time.perf_counter() - server.started_at_s
            last = f"status {status}: {answer[:300]!r}"
        if _has_ended(server.pid):
            last = "the process ended"
            break
        time.sleep(0.005)
    tail = server.log.read_text(encoding="utf-8", errors="replace")[-2000:]
    raise BenchError(f"{server.name}: {path} never answered 200 ({last}); its log ends:\n{tail}")


def listening(server: Server, timeout_s: float = 120) -> Server:
    """Return a server that chooses its port, as it says in its log where it listens.

    Raises:
        BenchError: the process ended or the time is up; the message ends with its log.
    """
    told = ""
    while time.perf_counter() - server.started_at_s < timeout_s:
        has_ended = _has_ended(server.pid)
        told = server.log.read_text(encoding="utf-8", errors="replace")
        if (found := _LISTENING.search(told)) is not None:
            return replace(server, port=int(found[1]))
        if has_ended:
            break
        time.sleep(0.005)
    raise BenchError(f"{server.name} never listened; its log ends:\n{told[-2000:]}")


def _has_ended(pid: int) -> bool:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return True
    return stat.rpartition(")")[2].split()[0] == "Z"
