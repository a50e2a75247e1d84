"""Which file a download means."""

from octomil.control.ports import Store
from octomil.control.records import Version, VersionFile
from octomil.control.scopes import MODELS_READ
from octomil.control.services.callers import Caller
from octomil.control.services.lookup import require_version
from octomil.control.services.version_files import is_torch
from octomil.control.services.versions import VersionService
from octomil.convert.formats import Format
from octomil.errors import NotFoundError

LATEST = "latest"


class Downloads:
    """Finds files, and tells whether one is still there.

    Args:
        store: where it is noted which there are.
        versions: knows the latest one.
    """

    def __init__(self, store: Store, versions: VersionService) -> None:
        self._store = store
        self._versions = versions

    def find(
        self, caller: Caller, model_id: str, number: str, format_: str | None
    ) -> tuple[Version, VersionFile]:
        """Return a version's file in a format; the one that was uploaded if none is named.

        Raises:
            ForbiddenError: the caller lacks the scope.
            NotFoundError: there is no such version, or it has no file in that format.
        """
        caller.require(MODELS_READ)
        if number == LATEST:
            version = self._versions.latest(caller, model_id)
        else:
            with self._store.snapshot(caller.organisation) as tx:
                version = require_version(tx, model_id, number)
        file = _file_of(version, format_)
        if file is None:
            there = [each.format for each in version.files]
            asked = "files" if format_ is None else f"file in the format {format_!r}"
            listed = ", ".join(there) or "none"
            message = f"the version {version.number} has no {asked}; it has: {listed}"
            raise NotFoundError(message, {"formats": there})
        return version, file

    def held_size(self, organisation: str, digest: str) -> int:
        """Return the size in bytes of a file that an organisation still has.

        Raises:
            NotFoundError: it has it no more.
        """
        with self._store.snapshot(organisation) as tx:
            blob = tx.blobs.get(digest)
        if blob is None:
            raise NotFoundError(f"there is no file {digest} any more; ask for another download-url")
        return blob.size_bytes


def _file_of(version: Version, format_: str | None) -> VersionFile | None:
    originals = [each for each in version.files if each.origin == "original"]
    if format_ is None:
        return next(iter(originals or version.files), None)
    exact = version.file(format_)
    if exact is None and format_ == Format.PYTORCH:
        return next((each for each in originals if is_torch(each.format)), None)
    return exact
