"""Whether the models will fit, asked before any of them is loaded."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from octomil.errors import InsufficientSpaceError

_CGROUP = Path("/sys/fs/cgroup")
_CGROUP_LIMITS = (
    ("memory.max", "memory.current"),
    ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes"),
)
"""Files that hold the limit and what is used of it, by cgroup version."""


@dataclass(frozen=True, slots=True)
class MemoryNeed:
    """What one model is estimated to take."""

    name: str
    bytes: int


def free_memory_bytes(cgroup: Path = _CGROUP) -> int:
    """Return the memory that can be had without swapping, within the container's limit.

    Args:
        cgroup: the folder in which the system tells that limit.
    """
    import psutil

    free = int(psutil.virtual_memory().available)
    for limit, used in _CGROUP_LIMITS:
        try:
            left = int((cgroup / limit).read_text()) - int((cgroup / used).read_text())
        except (OSError, ValueError):  # no such limit: "max", or another system
            continue
        free = min(free, left)
    return max(0, free)


def require_memory(needs: Sequence[MemoryNeed], free_bytes: int) -> None:
    """Refuse models that will not fit together.

    Raises:
        InsufficientSpaceError: they need more than is free; the message has a table and the way
            out.
    """
    total = sum(need.bytes for need in needs)
    if total <= free_bytes:
        return
    rows = [(need.name, need.bytes) for need in needs]
    rows += [("together", total), ("free", free_bytes)]
    width = max(len(name) for name, _ in rows)
    table = "\n".join(f"  {name:<{width}}  {size / 2**20:>9,.0f} MiB" for name, size in rows)
    raise InsufficientSpaceError(
        f"the models are estimated to need more memory than is free:\n{table}\n"
        "Serve fewer or smaller models, lower --ctx-size, --slots or --cache-size, free some "
        "memory, or pass --allow-overcommit to try all the same."
    )


def require_memory_beside(need: MemoryNeed, free_bytes: int) -> None:
    """Refuse a model that will not fit beside those that are served.

    Raises:
        InsufficientSpaceError: it needs more than is free.
    """
    if need.bytes > free_bytes:
        needed, free = (f"{size / 2**20:,.0f} MiB" for size in (need.bytes, free_bytes))
        raise InsufficientSpaceError(
            f"the new {need.name} is estimated to need {needed} beside what is served, and {free} "
            "are free, so the old one stays; free some "
            "memory, or restart the node with the new one alone or with --allow-overcommit"
        )
