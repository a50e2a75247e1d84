"""Making files survive a loss of power, folders included: a new name is in its folder's data."""

import os
from pathlib import Path


def sync_file(path: Path) -> None:
    """Wait until a file's content is on the disk."""
    _sync(path, os.O_RDONLY)


def sync_folder(path: Path) -> None:
    """Wait until a folder's entries are on the disk."""
    _sync(path, os.O_RDONLY | os.O_DIRECTORY)


def make_folders(path: Path, root: Path) -> None:
    """Make a folder and those above it up to `root`, which is there; all survive from now on."""
    missing = []
    while path != root and not path.is_dir():
        missing.append(path)
        path = path.parent
    for folder in reversed(missing):
        folder.mkdir(mode=0o700, exist_ok=True)
        sync_folder(folder.parent)


def _sync(path: Path, flags: int) -> None:
    descriptor = os.open(path, flags)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
