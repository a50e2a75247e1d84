"""Real `octomil` server processes for tests: started, awaited, and always ended by their ids."""

import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

import httpx

START_S = 180.0
END_S = 120.0
"""Like the time to start, only ever spent by a test that fails."""
_NO_TLS = False  # the node speaks plain HTTP; loading certificates would take 35 ms a request


@dataclass
class ServeProcess:
    """A running server.

    Attributes:
        url: base URL, without a trailing slash.
        lines: what it printed on stdout so far.
        errors: what it printed on stderr so far, request lines included.
    """

    process: subprocess.Popen[str]
    url: str = ""
    lines: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def get(self, path: str, **kwargs) -> httpx.Response:
        return httpx.get(self.url + path, timeout=120, verify=_NO_TLS, **kwargs)

    def post(self, path: str, json=None, **kwargs) -> httpx.Response:
        return httpx.post(self.url + path, json=json, timeout=120, verify=_NO_TLS, **kwargs)

    def chat(self, content: str, **body) -> httpx.Response:
        messages = [{"role": "user", "content": content}]
        return self.post("/v1/chat/completions", {"model": "auto", "messages": messages, **body})

    def stop(self) -> int:
        """Send SIGTERM and return the exit status."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=END_S)


@contextmanager
def serving(
    *arguments: str,
    env: Mapping[str, str] | None = None,
    wait_ready: bool = True,
    program: str | None = None,
) -> Iterator[ServeProcess]:
    """Run `octomil serve ARGUMENTS --port 0` until the block ends.

    Without `wait_ready` the block starts as soon as the process does, and `url` is empty.
    """
    options = {"env": env, "wait_ready": wait_ready, "program": program}
    with running("serve", *arguments, **options) as served:
        yield served


@contextmanager
def running(
    command: str,
    *arguments: str,
    env: Mapping[str, str] | None = None,
    wait_ready: bool = True,
    program: str | None = None,
    says: str | None = None,
) -> Iterator[ServeProcess]:
    """Run `octomil COMMAND --port 0 ARGUMENTS` until the block ends; by a program of one's own.

    `says` is the name that it tells by where it listens, if that is not the command's.
    """
    octomil = ("-m", "octomil.cli.main") if program is None else ("-c", program)
    process = subprocess.Popen(
        [sys.executable, *octomil, *command.split(), "--port", "0", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **(env or {})},
        start_new_session=True,  # so that a test may signal its process group
    )
    served = ServeProcess(process)
    heard: queue.Queue[str | None] = queue.Queue()
    readers = [
        threading.Thread(target=_read, args=(process.stdout, served.lines, heard), daemon=True),
        threading.Thread(target=_read, args=(process.stderr, served.errors, None), daemon=True),
    ]
    for reader in readers:
        reader.start()
    try:
        if wait_ready:
            served.url = _await_url(says or command, served, heard)
        yield served
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(timeout=END_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        for reader in readers:
            reader.join(timeout=END_S)
        process.stdout.close()
        process.stderr.close()


def _read(pipe, lines: list[str], heard: "queue.Queue[str | None] | None") -> None:
    for line in pipe:
        lines.append(line.rstrip("\n"))
        if heard is not None:
            heard.put(lines[-1])
    if heard is not None:
        heard.put(None)


def _await_url(command: str, served: ServeProcess, heard: "queue.Queue[str | None]") -> str:
    listening = f"[{command}] Listening on "
    while True:
        line = heard.get(timeout=START_S)
        if line is None:
            served.process.wait(timeout=END_S)
            raise AssertionError(f"octomil {command} ended early:\n" + "\n".join(served.errors))
        if line.startswith(listening):
            return line.removeprefix(listening)
