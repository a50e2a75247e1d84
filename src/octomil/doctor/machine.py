"""Processor, memory, disk, temporary folder and port."""

import os
import shutil
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

from octomil.doctor.finding import Finding, note, ok, problem
from octomil.engines.cores import Cores
from octomil.models.catalog import CATALOG
from octomil.models.partial import format_size

SOCKET_PATH_BYTES = 104
_SOCKET_EXAMPLE = "octomil-abcdefgh/w.sock"  # as a worker's folder and socket are named

_CPU_INFO = Path("/proc/cpuinfo")


def check_cores(cores: Cores) -> Finding:
    """Tell about the processor; local models share the cores that are granted."""
    physical = f"{cores.physical} cores, " if cores.physical else ""
    detail = f"{physical}{cores.logical} hardware threads"
    granted = min(cores.usable, cores.quota or cores.usable)
    if granted < cores.logical:
        detail += f", of which this process may use {granted:g}"
    return ok("processor", detail)


def cpu_flags() -> frozenset[str]:
    """Return the processor's own names for its abilities; empty where they cannot be read."""
    try:
        text = _CPU_INFO.read_text()
    except OSError:
        return frozenset()
    lines = (line for line in text.splitlines() if line.startswith(("flags", "Features")))
    return frozenset(next(lines, "").partition(":")[2].split())


def free_memory() -> int | None:
    """Return the free memory in bytes, a container's limit included; None where unknown."""
    from octomil.engines.memory import free_memory_bytes

    try:
        return free_memory_bytes()
    except ImportError:
        return None


def check_memory(free_bytes: int | None) -> Finding:
    """Judge the memory by the models of the catalog."""
    if free_bytes is None:
        return note(
            "memory",
            "unknown without the package psutil",
            "python -m pip install psutil",
        )
    too_large = _larger_than(free_bytes)
    detail = f"{format_size(free_bytes)} free"
    hint = "end other programs, or serve smaller models"
    if len(too_large) == len(CATALOG):
        return problem("memory", f"{detail}, too little for any model of the catalog", hint)
    if too_large:
        return note("memory", f"{detail}, too little for {', '.join(too_large)}", hint)
    return ok("memory", detail)


def check_cache_dir(folder: Path) -> Finding:
    """Judge whether models can be written to the cache folder, which need not exist yet."""
    place = nearest_existing(folder)
    if not place.is_dir():
        return problem(
            "cache folder", f"{place} is no folder", "set OCTOMIL_CACHE_DIR to a folder of yours"
        )
    if not os.access(place, os.W_OK | os.X_OK):
        return problem(
            "cache folder",
            f"{place} cannot be written by this user",
            "set OCTOMIL_CACHE_DIR to a folder of yours",
        )
    return ok("cache folder", str(folder) if folder == place else f"{folder}, made when needed")


def free_disk(folder: Path) -> int:
    """Return the free bytes where `folder` is, or would be made."""
    return shutil.disk_usage(nearest_existing(folder)).free


def check_disk(free_bytes: int) -> Finding:
    """Judge the room for models by those of the catalog."""
    too_large = _larger_than(free_bytes)
    detail = f"{format_size(free_bytes)} free"
    hint = "free some space, or set OCTOMIL_CACHE_DIR to a larger disk"
    if len(too_large) == len(CATALOG):
        return problem("disk", f"{detail}, too little for any model of the catalog", hint)
    if too_large:
        return note("disk", f"{detail}, too little for {', '.join(too_large)}", hint)
    return ok("disk", detail)


def check_temporary_folder() -> Finding:
    """Find the temporary folder and judge it."""
    try:
        folder = tempfile.gettempdir()
    except FileNotFoundError as error:
        return problem("temporary folder", str(error), "set TMPDIR to a folder of yours")
    return check_socket_path(folder)


def check_socket_path(folder: str) -> Finding:
    """Judge whether a Unix socket's path fits: workers are spoken to through one in `folder`."""
    length = len(os.fsencode(f"{folder}/{_SOCKET_EXAMPLE}")) + 1  # with the closing zero byte
    if length > SOCKET_PATH_BYTES:
        return problem(
            "temporary folder",
            f"{folder} makes a socket path of {length} bytes; {SOCKET_PATH_BYTES} are allowed",
            "set TMPDIR to a shorter path, such as /tmp",
        )
    return ok("temporary folder", folder)


def check_port(host: str, port: int) -> Finding:
    """Try the port that `octomil serve` takes by default."""
    try:
        socket.create_server((host, port)).close()
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        return note(
            "port", f"{host}:{port} cannot be had: {reason}", "pass another to `serve` with --port"
        )
    return ok("port", f"{host}:{port} is free")


def nearest_existing(folder: Path) -> Path:
    """Return `folder`, or the nearest of its parents that exists."""
    return next(path for path in _upwards(folder.absolute()) if path.exists())


def _upwards(folder: Path) -> Iterator[Path]:
    yield folder
    yield from folder.parents


def _larger_than(free_bytes: int) -> list[str]:
    """List the models whose files alone are larger."""
    return [name for name, entry in CATALOG.items() if entry.size_bytes > free_bytes]
