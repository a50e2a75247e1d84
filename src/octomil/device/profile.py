"""What a device says about itself when it registers."""

import os
import platform
from typing import Any

from octomil._version import __version__
from octomil.device.hardware import memory_bytes
from octomil.placement.devices import class_of


def own_profile() -> dict[str, Any]:
    """Return what this machine registers with, but for its identifier."""
    memory = memory_bytes()
    return {
        "platform": platform.system().lower(),
        "os_version": platform.release(),
        "sdk_version": __version__,
        "capabilities": {
            "architecture": platform.machine(),
            "cpu_count": os.cpu_count() or 1,
            "memory_bytes": memory,
            "device_class": class_of(memory // 2**20).value,
        },
    }
