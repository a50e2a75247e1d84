"""What this machine has: its platform, its memory, a GPU, a neural processor.

A device that is not found is told with where it was looked for: that nobody looked is no finding.
"""

import os
import platform
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final, get_args

from epochly.errors import EpochlyError
from octomil.errors import ConfigurationError
from octomil.wire.placement import HardwareFinding, PlatformName

_ROOT: Final = Path("/")
_CGROUP_LIMITS = ("sys/fs/cgroup/memory.max", "sys/fs/cgroup/memory/memory.limit_in_bytes")
_PLATFORMS: Final = {"Linux": "linux", "Darwin": "macos", "Windows": "windows", "iOS": "ios"}
_VENDORS: Final = {"0x10de": "NVIDIA", "0x1002": "AMD", "0x8086": "Intel"}
_VIRTUAL: Final = {"0x1af4", "0x1b36", "0x1234", "0x15ad", "0x1414"}
"""Vendors of displays that virtual machines are given, which run no models."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hardware:
    """What there is.

    Attributes:
        memory_bytes: of the whole machine, within the container's limit.
    """

    platform: PlatformName
    memory_bytes: int
    gpu: HardwareFinding
    npu: HardwareFinding


def look_at_hardware() -> Hardware:
    """Look at this machine.

    Raises:
        ConfigurationError: models are not placed on such a platform.
    """
    system, machine = platform.system(), platform.machine()
    return Hardware(
        platform=platform_name(system),
        memory_bytes=memory_bytes(),
        gpu=find_gpu(system, machine),
        npu=find_npu(system, machine),
    )


def platform_name(system: str) -> PlatformName:
    """Return what the control plane calls an operating system.

    Raises:
        ConfigurationError: it has no name there.

    Example:
        >>> platform_name("Darwin")
        'macos'
    """
    wanted = "android" if sys.platform == "android" else _PLATFORMS.get(system)
    for name in get_args(PlatformName):
        if name == wanted:
            found: PlatformName = name
            return found
    known = ", ".join(get_args(PlatformName))
    raise ConfigurationError(f"models are not placed on {system!r}; the platforms are {known}")


def memory_bytes(root: Path = _ROOT) -> int:
    """Return the machine's memory, or the container's limit where that is less."""
    whole = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    for name in _CGROUP_LIMITS:
        try:
            whole = min(whole, int((root / name).read_text()))
        except (OSError, ValueError):  # no such limit: "max", or another system
            continue
    return whole


def find_gpu(system: str, machine: str, root: Path = _ROOT) -> HardwareFinding:
    """Look for a graphics processor that models could run on.

    Args:
        system: as `platform.system` says it.
        machine: as `platform.machine` says it.
        root: of the file system.
    """
    if system == "Darwin":
        return _of_apple("gpu", machine, "Apple silicon's, by Metal")
    if system != "Linux":
        return _found("gpu", [], f"not looked for on {system}")
    nvidia = sorted((root / "dev").glob("nvidia[0-9]*"))
    if nvidia:
        return _found("gpu", [_nvidia_names(len(nvidia))], "")
    nodes = sorted((root / "dev/dri").glob("renderD*"))
    vendors = [
        (node, _text(root / "sys/class/drm" / node.name / "device/vendor")) for node in nodes
    ]
    real = [
        f"{_VENDORS.get(vendor, 'of an unknown maker')} (/dev/dri/{node.name})"
        for node, vendor in vendors
        if vendor not in _VIRTUAL
    ]
    virtual = f", but for {len(nodes)} virtual displays" if nodes else ""
    return _found("gpu", real, f"none of /dev/nvidia*, /dev/dri/renderD*{virtual}")


def find_npu(system: str, machine: str, root: Path = _ROOT) -> HardwareFinding:
    """Look for a neural processor; arguments as in :func:`find_gpu`."""
    if system == "Darwin":
        return _of_apple("npu", machine, "Apple silicon's Neural Engine")
    if system != "Linux":
        return _found("npu", [], f"not looked for on {system}")
    nodes = sorted((root / "dev/accel").glob("accel[0-9]*"))
    drivers = [(root / "sys/class/accel" / node.name / "device/driver").resolve() for node in nodes]
    named = [
        f"{driver.name if driver.exists() else 'unknown driver'} (/dev/accel/{node.name})"
        for node, driver in zip(nodes, drivers, strict=True)
    ]
    return _found("npu", named, "none of /dev/accel/accel*")


def _of_apple(what: str, machine: str, detail: str) -> HardwareFinding:
    if machine == "arm64":
        return _found(what, [detail], "")
    return _found(what, [], "not looked for on a Mac without Apple silicon")


def _found(what: str, names: list[str], absence: str) -> HardwareFinding:
    detail = ", ".join(names) if names else absence
    return HardwareFinding(what=what, found=bool(names), detail=detail[:255])


def _nvidia_names(count: int) -> str:
    """Return the GPUs' names as the driver has them; without it, that they are there."""
    from epochly.inference.metrics.gpu import NvmlGpus

    try:
        with NvmlGpus() as gpus:
            return ", ".join(gpus.name(index) for index in range(len(gpus)))
    except EpochlyError as error:
        return f"NVIDIA, {count} of unknown name ({error})"


def _text(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""
