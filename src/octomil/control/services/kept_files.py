"""Whether the files of a version are kept: asked before more devices are sent for them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from octomil.control.ports import BlobStore, Store
from octomil.control.records import VersionFile
from octomil.control.services.callers import Caller
from octomil.errors import ApiError, ConflictError, ServiceUnavailableError
from octomil.registry.manifest import DIGEST_PREFIX
from octomil.rollouts.states import Progress

_LOOK_AGAIN_S: Final = 60


class FilesUnansweredError(ApiError):
    """A blob store does not say whether files are there.

    It is no `ServiceUnavailableError`, which is a database's where it comes out of a transaction:
    whoever is committed along with this call would be rolled back.
    """

    code, status = ServiceUnavailableError.code, ServiceUnavailableError.status


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptFiles:
    """What was found of a version's files.

    Attributes:
        lost: those that are missing or cut short.
        fault: why they could not be asked for; empty if they could.
    """

    lost: Sequence[VersionFile] = ()
    fault: str = ""

    def require(self, number: str) -> None:
        """Return if devices can be sent for the files of a version with that number.

        Raises:
            ConflictError: one is lost; the message names it.
            FilesUnansweredError: nobody can tell now.
        """
        if self.lost:
            # One look may miss a folder that is not mounted for a moment: no answer for good.
            raise ConflictError(told_of_lost(number, self.lost), {"retry_after_s": _LOOK_AGAIN_S})
        if self.fault:
            raise FilesUnansweredError(
                f"the files of the version {number} cannot be asked for: {self.fault}"
            )


class FileLooks:
    """Looks for the files of versions; no transaction waits for the disk or the network.

    Which files there are is read first, from the database; they are looked for once that is over.

    Args:
        store: where it is noted which files a version has.
        blobs: where they are.
    """

    def __init__(self, store: Store, blobs: BlobStore) -> None:
        self._store = store
        self._blobs = blobs

    def of_version(self, caller: Caller, model_id: str, number: str) -> KeptFiles:
        """Return what is found of a version's files; of no version, nothing is missed."""
        with self._store.snapshot(caller.organisation) as tx:
            version = tx.versions.find(model_id, number)
        return self._found(() if version is None else version.files)

    def of_rollout(
        self, caller: Caller, model_id: str, rollout_id: str, share: float | None = None
    ) -> KeptFiles:
        """Return the same of a rollout's version, if somebody new may be sent for the files.

        Where nobody is, they are not asked for.

        Args:
            caller: whose rollout.
            model_id: of which model.
            rollout_id: which one.
            share: percentage that it is to go up to; None if its plan says.
        """
        with self._store.snapshot(caller.organisation) as tx:
            rollout = tx.rollouts.get(model_id, rollout_id)
            version = None
            if rollout is not None and _may_grow(rollout.progress, share):
                version = tx.versions.find(model_id, rollout.number)
        return self._found(() if version is None else version.files)

    def _found(self, files: Sequence[VersionFile]) -> KeptFiles:
        try:
            return KeptFiles(lost=lost_of(self._blobs, files))
        except (OSError, ServiceUnavailableError) as error:
            return KeptFiles(fault=str(error))


def _may_grow(progress: Progress, share: float | None) -> bool:
    """Tell whether more devices may be offered the version; a share is offered wave by wave."""
    if share is None:
        return progress.offered_percentage < 100
    return progress.percentage < share


def lost_of(blobs: BlobStore, files: Sequence[VersionFile]) -> Sequence[VersionFile]:
    """Return those files that are missing or cut short.

    Raises:
        OSError: the disk does not say.
        ServiceUnavailableError: the object store does not.
    """
    return [each for each in files if blobs.size(each.digest) != each.size_bytes]


def told_of_lost(number: str, lost: Sequence[VersionFile]) -> str:
    """Return what people are told of a version whose files are lost, and what to do."""
    file, more = lost[0], len(lost) - 1
    others = f" ({more} more besides)" if more else ""
    return (
        f"the file {file.name!r} ({DIGEST_PREFIX}{file.digest}) of the version {number} is "
        f"missing or cut short in the blob store{others}; look for others with `octomil fsck`, "
        "upload the same content again as a new version, and begin another rollout"
    )
