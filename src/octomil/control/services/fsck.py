"""Whether the files that are kept are what their names say, and whether any is missing."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum

from octomil.control.ports import BlobStore, Store
from octomil.errors import NotFoundError

_AT_ONCE = 1000


class Fault(StrEnum):
    """What can be wrong with a file."""

    MISSING = "missing"
    DIFFERS = "differs"
    UNKNOWN = "unknown"


@dataclass(slots=True)
class Verdict:
    """What was found.

    Attributes:
        checked: files that there should be.
        bytes: what was read of them.
        faults: digests by what is wrong with their files; an unknown one is there and nothing is
            noted about it, which harms nobody.
    """

    checked: int = 0
    bytes: int = 0
    faults: dict[Fault, list[str]] = field(default_factory=lambda: {each: [] for each in Fault})

    @property
    def is_sound(self) -> bool:
        """Whether every file that there should be is there and right."""
        return not (self.faults[Fault.MISSING] or self.faults[Fault.DIFFERS])

    def __str__(self) -> str:
        wrong = len(self.faults[Fault.MISSING]) + len(self.faults[Fault.DIFFERS])
        return f"{wrong} of {self.checked} blobs differ"


def check_blobs(store: Store, blobs: BlobStore) -> Verdict:
    """Hash every file anew, and look for those that are missing and those that nobody knows.

    Args:
        store: where it is noted which files there are.
        blobs: where they are. Both may be in use meanwhile.
    """
    verdict = Verdict()
    known = set()
    for digest in _noted(store):
        known.add(digest)
        verdict.checked += 1
        fault = _look(store, blobs, digest, verdict)
        if fault is not None:
            verdict.faults[fault].append(digest)
    with store.system_snapshot() as tx:
        lost = tx.blob_ledger.missing()
    verdict.checked += len(lost)
    verdict.faults[Fault.MISSING] += lost
    known.update(_noted(store))  # what came meanwhile
    verdict.faults[Fault.UNKNOWN] += sorted(set(blobs.digests()) - known)
    return verdict


def _noted(store: Store) -> Iterator[str]:
    """Yield the digests of the files that there should be, in their order."""
    after = ""
    while True:
        with store.system_snapshot() as tx:
            some = tx.blob_ledger.list(after, _AT_ONCE)
        yield from (each.digest for each in some)
        if len(some) < _AT_ONCE:
            return
        after = some[-1].digest


def _look(store: Store, blobs: BlobStore, digest: str, verdict: Verdict) -> Fault | None:
    found = hashlib.sha256()
    try:
        for piece in blobs.read(digest):
            verdict.bytes += len(piece)
            found.update(piece)
    except NotFoundError:
        return Fault.MISSING if _is_wanted(store, digest) else None
    return None if found.hexdigest() == digest else Fault.DIFFERS


def _is_wanted(store: Store, digest: str) -> bool:
    """Tell whether a file should still be there: it may be on its way in or out just now."""
    with store.system_snapshot() as tx:
        return tx.blob_ledger.is_referred_to(digest)
