"""What a device says about itself when it registers."""

import os
import platform
from typing import Any

from octomil._version import __version__

_GIB = 2**30

_CLASSES = ((8 * _GIB, "flagship"), (6 * _GIB, "high"), (4 * _GIB, "mid"))
"""The published classes of devices, by the memory they have at least."""


def device_class(memory_bytes: int) -> str:
    """Return the class of a device with that much memory.

    >>> [device_class(gib * 2**30) for gib in (16, 6, 5, 1)]
    ['flagship', 'high', 'mid', 'low']
    """
    return next((name for least, name in _CLASSES if memory_bytes >= least), "low")


def own_profile() -> dict[str, Any]:
    """Return what this machine registers with, but for its identifier."""
    memory_bytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "platform": platform.system().lower(),
        "os_version": platform.release(),
        "sdk_version": __version__,
        "capabilities": {
            "architecture": platform.machine(),
            "cpu_count": os.cpu_count() or 1,
            "memory_bytes": memory_bytes,
            "device_class": device_class(memory_bytes),
        },
    }
