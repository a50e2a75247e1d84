"""Real disks that are small, full, or can only be read; whoever may not mount skips the test."""

import errno
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

MIB = 1 << 20


@contextmanager
def small_disk(folder: Path, mib: int, *options: str) -> Iterator[Path]:
    """Mount a file system of so many MiB, in memory, on a new folder."""
    folder.mkdir()
    _mount("-t", "tmpfs", "-o", ",".join((f"size={mib}m", *options)), "tmpfs", str(folder))
    try:
        yield folder
    finally:
        _unmount(folder)


@contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """Make a folder one that can only be read, until the block ends."""
    _mount("--bind", str(folder), str(folder))
    try:
        _mount("-o", "remount,bind,ro", str(folder))
        yield
    finally:
        _unmount(folder)


def fill(disk: Path) -> Path:
    """Take every byte that is free on a disk; return the file that has them."""
    ballast, piece = disk / "ballast", bytes(4096)
    with ballast.open("ab", buffering=0) as file:
        try:
            while file.write(piece):
                pass
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
    return ballast


def _mount(*arguments: str) -> None:
    done = subprocess.run(["mount", *arguments], check=False, capture_output=True, text=True)
    if done.returncode != 0:
        pytest.skip(f"nothing can be mounted here ({done.stderr.strip()}); try `unshare -Urm`")


def _unmount(folder: Path) -> None:
    subprocess.run(["umount", str(folder)], check=True)
