"""What must not be rolled out again: a version that was rolled back for its health.

It stays blocked until somebody lifts that by hand. A mended version has another digest, of which
nothing is known, so that it is not blocked.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime


class BlockedError(ValueError):
    """A version is blocked; the message says since when and why, and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ruling:
    """A version was blocked, or a block was lifted.

    Attributes:
        digest: of the version's manifest.
        is_block: whether this blocks; else it lifts.
        actor: who did it.
        reason: why.
    """

    digest: str
    is_block: bool
    at: datetime
    actor: str
    reason: str


def standing_block(digest: str, rulings: Iterable[Ruling]) -> Ruling | None:
    """Return what blocks a version, None if nothing does.

    Args:
        digest: the version's.
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
