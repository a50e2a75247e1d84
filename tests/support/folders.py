"""What lies in folders."""

from pathlib import Path


def names_in(folder: Path) -> list[str]:
    """The names of what lies in a folder, in order."""
    return sorted(path.name for path in folder.iterdir())
