"""CPU time, memory and placement of process trees, from ``/proc``."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


def tree(root_pid: int) -> list[int]:
    """`root_pid` and all its living descendants."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (stat := _stat(int(entry.name))):
            children.setdefault(int(stat[1]), []).append(int(entry.name))
    found = [root_pid]
    for pid in found:
        found += children.get(pid, [])
    return found


def cpu_seconds(root_pid: int) -> float:
    """User and system time of a process tree, children that ended included."""
    ticks = 0
    for pid in tree(root_pid):
        if stat := _stat(pid):
            ticks += sum(int(value) for value in stat[11:15])
    return ticks / _TICKS_PER_S


def pss_mb(root_pid: int) -> float:
    """Proportional set size of a process tree in megabytes of 10^6 bytes."""
    total_kib = 0
    for pid in tree(root_pid):
        try:
            text = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii")
        except OSError:
            continue
        total_kib += sum(int(ln.split()[1]) for ln in text.splitlines() if ln.startswith("Pss:"))
    return total_kib * 1024 / 1e6


def _stat(pid: int) -> list[str] | None:
    """Fields of ``/proc/PID/stat`` from `state` on; the name before it may hold anything."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    return text.rpartition(")")[2].split()


class OtherLoad:
    """How many cores the rest of the machine kept busy, from construction on."""

    def __init__(self) -> None:
        self._start = self._read()

    def cores(self) -> float:
        """Busy cores beside this process and its children; wall clock figures suffer from them."""
        wall_s, busy_s, own_s = (
            now - then for now, then in zip(self._read(), self._start, strict=True)
        )
        return max(0.0, (busy_s - own_s) / wall_s) if wall_s else 0.0

    @staticmethod
    def _read() -> tuple[float, float, float]:
        first_line = Path("/proc/stat").read_text(encoding="ascii").partition("\n")[0]
        ticks = [int(value) for value in first_line.split()[1:9]]
        idle_and_waiting = ticks[3] + ticks[4]
        busy_s = (sum(ticks) - idle_and_waiting) / _TICKS_PER_S
        return time.perf_counter(), busy_s, cpu_seconds(os.getpid())


def calibrate() -> float:
    """CPU milliseconds of a fixed piece of pure Python: how fast this machine is right now."""
    started_s = time.process_time()
    state, table = 1, {}
    for step in range(60_000):
        state = (state * 1_103_515_245 + 12_345) & 0x7FFF_FFFF
        table[state & 1023] = (step, str(state))
    return (time.process_time() - started_s) * 1000


def usable_cores() -> list[int]:
    """Cores this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def server_core(cores: list[int]) -> set[int]:
    """Where the program under test runs."""
    return {cores[0]}


def load_core(cores: list[int]) -> set[int]:
    """Where the upstream and the load generator run, apart from the program under test."""
    return {cores[1 if len(cores) > 1 else 0]}


@contextmanager
def on_cores(cores: set[int]) -> Iterator[None]:
    """Pin this process, and the children it starts meanwhile, to `cores`."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
