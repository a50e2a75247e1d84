"""What must not be rolled out again: a version that was rolled back for its health.

It stays blocked until somebody lifts that by hand, under whatever number its files are published
again. A mended version has other files, of which nothing is known, so that it is not blocked.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256


class BlockedError(ValueError):
    """A version is blocked; the message says since when and why, and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ruling:
    """A version was blocked, or a block was lifted.

    Attributes:
        digest: what the version is known by here: its `files_digest`.
        is_block: whether this blocks; else it lifts.
        actor: who did it.
        reason: why.
    """

    digest: str
    is_block: bool
    at: datetime
    actor: str
    reason: str


def files_digest(model_id: str, files: Mapping[str, str]) -> str:
    """Return what all versions of a model with the same files are known by: a SHA-256, in hex.

    Args:
        model_id: what runs well as one model says nothing about another.
        files: the SHA-256 of each file, by its format.
    """
    known = {"files": dict(files), "model": model_id}
    return sha256(json.dumps(known, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def standing_block(digest: str, rulings: Iterable[Ruling]) -> Ruling | None:
    """Return what blocks a version, None if nothing does.

    Args:
        digest: what the version is known by.
        rulings: in the order in which they were made; those on other versions are left out.
    """
    last = None
    for each in rulings:
        if each.digest == digest:
            last = each
    return last if last is not None and last.is_block else None


def refuse_blocked(digest: str, rulings: Iterable[Ruling]) -> None:
    """Raise unless a version may be rolled out.

    Raises:
        BlockedError: it was blocked, and nobody has lifted that.
    """
    block = standing_block(digest, rulings)
    if block is not None:
        raise BlockedError(
            f"the version is blocked since {block.at.isoformat(timespec='seconds')}: "
            f"{block.reason}; publish a mended one, or lift the block by hand"
        )
