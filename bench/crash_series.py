"""A control plane that is killed, started again and looked at, over and over, in one folder."""

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx

from bench.cpu import cpu_seconds, usable_cores
from bench.crash_checks import ViolationError, check_all, check_nothing_is_left
from bench.crash_clients import Client, called, until_gone
from bench.crash_points import POINTS
from bench.dying import NONE
from bench.process import (
    HOST,
    BenchError,
    Server,
    listening,
    octomil_program,
    serving,
    wait_for_200,
)
from octomil.compose_kept import open_kept
from octomil.config import Settings
from octomil.control.data_folder import data_folder_at
from octomil.control.services.fsck import check_blobs

RANDOM_TIME = "at a random time"
CLIENTS = 2

_KEY_LINE = "[up] Admin key, shown this once: "
_HOURS = 1.2
"""Between two starts, by the control plane's clock: what nobody refers to becomes old enough.

It stays less than a day ahead of the files' clock, so that no file under way looks abandoned.
"""
_DAYS_LATER_H = 72.0
_PASSES = 2
_AT_MOST_S = 0.8
_PATIENCE_S = 60.0
"""Only ever spent where a point is not met, or a process does not end."""


class Series:
    """What becomes of one folder.

    Args:
        folder: made by the first start.
        chance: when to kill, and at which pass of a point.

    Attributes:
        hits: how often each point was met.
        restarts_s: what each start after a kill took, from the exec to an answer of `/ready`.
        restarts_cpu_s: the CPU that it took until then.
    """

    def __init__(self, folder: Path, chance: random.Random) -> None:
        self.hits: Counter[str] = Counter()
        self.restarts_s: list[float] = []
        self.restarts_cpu_s: list[float] = []
        self._folder = folder
        self._chance = chance
        self._clients = [Client(number + 1) for number in range(CLIENTS)]
        self._hours = 0.0
        self._key = ""
        self._was_killed = False

    def run(self, points: list[str]) -> None:
        """Die at each of some points in turn, and end in good order.

        Raises:
            ViolationError: something does not hold; the message names the point before.
            BenchError: a point is not met.
        """
        last = "the first start"
        for point in points:
            with _after(last):
                self._die_at(point)
            self._was_killed = True
            self.hits[point] += 1
            last = point
        with _after(last):
            self._end()

    def _die_at(self, point: str) -> None:
        if point in POINTS and POINTS[point].at_start:
            with self._started(point) as server:
                _await_kill(server)
            return
        is_its_own = point in POINTS and POINTS[point].command == "up"
        with self._started(point if is_its_own else NONE) as server, ExitStack() as stack:
            apis = self._check(server, stack)
            if is_its_own:
                os.kill(server.pid, signal.SIGUSR1)
                self._work(server, apis, lambda: None)
                return
            _at_once([(client.live, api) for client, api in apis])
            if point in POINTS:
                self._work(server, apis, lambda: self._kill_backup(server, point))
            else:
                self._work(server, apis, lambda: self._kill_some_time(server))

    def _check(self, server: Server, stack: ExitStack) -> list[tuple[Client, httpx.Client]]:
        """Wait until a server answers, look at everything, and return who calls it from now on."""
        server = listening(server)
        taken_s = wait_for_200(server, "/ready")
        if self._was_killed:
            self.restarts_s.append(taken_s)
            self.restarts_cpu_s.append(cpu_seconds(server.pid))
        self._key = self._key or _printed_key(server)
        url, headers = f"http://{HOST}:{server.port}", {"authorization": f"Bearer {self._key}"}
        apis = [
            stack.enter_context(
                httpx.Client(base_url=url, headers=headers, timeout=60, trust_env=False)
            )
            for _ in self._clients
        ]
        check_all(self._folder, apis[0], self._clients)
        return list(zip(self._clients, apis, strict=True))

    def _work(
        self, server: Server, apis: list[tuple[Client, httpx.Client]], kill: Callable[[], None]
    ) -> None:
        """Let the clients work until the server is gone."""
        with ThreadPoolExecutor(CLIENTS) as threads:
            running = [threads.submit(until_gone, client.live, api) for client, api in apis]
            try:
                kill()
                _await_kill(server)
            finally:
                os.kill(server.pid, signal.SIGKILL)
        for each in running:
            each.result()

    def _kill_some_time(self, server: Server) -> None:
        time.sleep(self._chance.uniform(0, _AT_MOST_S))
        os.kill(server.pid, signal.SIGKILL)

    def _kill_backup(self, server: Server, point: str) -> None:
        """Kill a backup half-way, make another in its place, and kill the server, too."""
        target = self._folder.with_name(f"{self._folder.name}-backup")
        words = ("backup", str(self._folder), str(target))
        dying = [sys.executable, "-m", "bench.dying", point, "--", *words]
        died = subprocess.run(dying, capture_output=True, text=True, check=False)
        if died.returncode != -signal.SIGKILL:
            raise BenchError(f"the backup ended with {died.returncode}: {died.stderr[-500:]}")
        if target.exists():
            raise ViolationError("there is half a backup where a whole one should be")
        subprocess.run([str(octomil_program()), *words], capture_output=True, check=True)
        with open_kept(Settings(), data_folder_at(target)) as (store, blobs):
            found = check_blobs(store, blobs)
        if not found.is_sound or not found.checked:
            raise ViolationError(f"the backup: {found}")
        shutil.rmtree(target)
        os.kill(server.pid, signal.SIGKILL)

    def _end(self) -> None:
        """Start once more, and again days later; collect the garbage and look at what is left."""
        for hours in (0.0, _DAYS_LATER_H):
            self._hours += hours
            with self._started(NONE) as server, ExitStack() as stack:
                apis = self._check(server, stack)
                called(apis[0][1], "POST", "/blobs/collect")
                os.kill(server.pid, signal.SIGTERM)
                status = _await_end(server)
                if status != 0:
                    raise ViolationError(f"the server ended with {status} after SIGTERM")
            self._was_killed = False
        check_nothing_is_left(self._folder)
        argv = [str(octomil_program()), "fsck", str(self._folder)]
        told = subprocess.run(argv, capture_output=True, text=True, check=False).stdout
        if not told.startswith("0 of "):
            raise ViolationError(f"octomil fsck: {told}")

    @contextmanager
    def _started(self, point: str) -> Iterator[Server]:
        nth = self._chance.randint(1, _PASSES)
        if point in POINTS and POINTS[point].at_start:
            nth = 1
        self._hours += _HOURS
        argv = [sys.executable, "-m", "bench.dying", point, "--nth", str(nth)]
        argv += ["--hours", str(self._hours), "--", "up", "--data-dir", str(self._folder)]
        argv += ["--port", "0", "--rate-limit", "off"]
        cores, logs = set(usable_cores()), self._folder.parent
        with serving("up", argv, port=0, cores=cores, logs=logs) as server:
            yield server


@contextmanager
def _after(point: str) -> Iterator[None]:
    """Say in what is violated after which point that was found."""
    try:
        yield
    except ViolationError as error:
        raise ViolationError(f"{error}; the server had died last: {point}") from error


def _at_once(lives: list[tuple[Callable[[httpx.Client], None], httpx.Client]]) -> None:
    with ThreadPoolExecutor(len(lives)) as threads:
        for each in [threads.submit(live, api) for live, api in lives]:
            each.result()


def _printed_key(server: Server) -> str:
    """Return the admin key that a first start printed.

    Raises:
        ViolationError: nobody can ever have a key.
    """
    for line in server.log.read_text(encoding="utf-8").splitlines():
        if line.startswith(_KEY_LINE):
            return line.removeprefix(_KEY_LINE)
    raise ViolationError("no start has printed an admin key")


def _await_kill(server: Server) -> None:
    status = _await_end(server)
    if status != -signal.SIGKILL:
        log = server.log.read_text(encoding="utf-8", errors="replace")[-2000:]
        raise BenchError(f"the server ended with {status} instead of dying; its log ends:\n{log}")


def _await_end(server: Server) -> int:
    """Wait until a process has ended, and return its status, as `subprocess` gives it.

    Raises:
        BenchError: it does not end.
    """
    deadline_s = time.perf_counter() + _PATIENCE_S
    while time.perf_counter() < deadline_s:
        ended = os.waitid(os.P_PID, server.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        if ended is not None:
            is_exit = ended.si_code == os.CLD_EXITED
            return int(ended.si_status if is_exit else -ended.si_status)
        time.sleep(0.005)
    raise BenchError(f"the process {server.pid} does not end; was its point ever met?")
