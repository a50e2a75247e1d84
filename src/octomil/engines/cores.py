"""The processor, and how much of it this process may use."""

import os
from dataclasses import dataclass
from pathlib import Path

_CPU_QUOTA_V2 = Path("/sys/fs/cgroup/cpu.max")
_CPU_QUOTA_V1 = Path("/sys/fs/cgroup/cpu")


@dataclass(frozen=True, slots=True)
class Cores:
    """The processor, as far as it is ours.

    Attributes:
        logical: hardware threads of the machine.
        physical: cores of the machine; None where unknown.
        usable: hardware threads this process may run on.
        quota: cores' worth of time the container grants; None without a limit.
    """

    logical: int
    physical: int | None
    usable: int
    quota: float | None = None

    @property
    def granted(self) -> int:
        """Threads that find a core of their own: more would only wait for one another."""
        return max(1, int(min(self.usable, self.quota or self.usable)))


def look_at_cores() -> Cores:
    """Count cores and find limits on them."""
    logical = os.cpu_count() or 1
    try:
        import psutil

        physical = psutil.cpu_count(logical=False)
    except ImportError:
        physical = None
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else logical
    return Cores(logical, physical, usable, _quota())


def load_average() -> float:
    """Return how many threads wanted to run in the last minute; 0 where the system does not say."""
    return os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0


def is_busy(load: float, threads: int) -> bool:
    """Tell whether other programs keep a measurement down.

    Args:
        load: the average before it began.
        threads: what is measured has so many.
    """
    return load > max(1.0, threads / 2)


def _quota() -> float | None:
    try:
        quota_us, period_us = _CPU_QUOTA_V2.read_text().split()
    except (OSError, ValueError):
        try:
            quota_us = (_CPU_QUOTA_V1 / "cpu.cfs_quota_us").read_text()
            period_us = (_CPU_QUOTA_V1 / "cpu.cfs_period_us").read_text()
        except OSError:
            return None
    return read_quota(quota_us, period_us)


def read_quota(quota_us: str, period_us: str) -> float | None:
    """Return a container's limit in cores; None for none.

    Example:
        >>> read_quota("150000", "100000"), read_quota("max", "100000"), read_quota("-1", "100000")
        (1.5, None, None)
    """
    try:
        quota, period = int(quota_us), int(period_us)
    except ValueError:
        return None
    return quota / period if quota > 0 and period > 0 else None
