"""Making files survive a loss of power, folders included: a new name is in its folder's data."""

import os
from pathlib import Path


def sync_file(path: Path) -> None:
    """Wait until a file's content is on the disk."""
    _sync(path, os.O_RDONLY)


def sync_folder(path: Path) -> None:
    """Wait until a folder's entries are on the disk."""
    _sync(path, os.O_RDONLY | os.O_DIRECTORY)


def make_root(path: Path) -> None:
    """Make a folder, and those above it that are missing; all survive from now on."""
    missing = []
    while not path.is_dir():
        missing.append(path)
        path = path.parent
    for folder in reversed(missing):
        _make(folder)


def make_folders(path: Path, root: Path) -> None:
    """Make a folder and those above it up to `root`, which is there; all survive from now on.

    Those that are there already are synced, too: who made them may not have come to it yet.
    """
    below = []
    while path != root:
        below.append(path)
        path = path.parent
    for folder in reversed(below):
        _make(folder)


def remove_file(path: Path) -> None:
    """Remove a file for good; one that is not there stays away for good."""
    try:
        path.unlink(missing_ok=True)
        sync_folder(path.parent)
    except FileNotFoundError:
        return  # nor is its folder


def _make(folder: Path) -> None:
    folder.mkdir(mode=0o700, exist_ok=True)
    sync_folder(folder.parent)


def _sync(path: Path, flags: int) -> None:
    descriptor = os.open(path, flags)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
