"""What a source of model files promises, and what it tells while it works."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from octomil.errors import DigestMismatchError
from octomil.models.catalog import ModelFile
from octomil.models.partial import Partial


class ProgressSink(Protocol):
    """Hears how a pull gets on. Called from the pulling thread; must be quick and not raise."""

    def advance(self, name: str, done_bytes: int, total_bytes: int) -> None:
        """Bytes of model `name` that are here; `total_bytes` is 0 while it is unknown."""

    def note(self, message: str) -> None:
        """Something a person waiting should know, such as another try."""


class Silent:
    """A sink that listens to nothing."""

    def advance(self, name: str, done_bytes: int, total_bytes: int) -> None:
        """Drop it."""

    def note(self, message: str) -> None:
        """Drop it."""


@dataclass(frozen=True, kw_only=True)
class FetchedFile:
    """A file that arrived whole and has the digest that its source promised.

    Attributes:
        sha256: hex digest of the bytes that arrived.
        size_bytes: their number.
        origin: what the source said about it (address, ETag, commit, wheel), kept in `model.json`.
    """

    sha256: str
    size_bytes: int
    origin: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class FetchTask:
    """What is to be fetched, and where to.

    Attributes:
        name: the model's name in messages.
        files: the files wanted. For a hub file outside the catalog the size is 0: not known yet.
        partial: the folder it grows in.
        pinned: file name → digest recorded when the files were fetched before; a source that
            promises another one now must refuse.
        report: called with the bytes of this model that are here and the bytes there will be.
        note: called with a line for the person who waits.
    """

    name: str
    files: tuple[ModelFile, ...]
    partial: Partial
    pinned: Mapping[str, str] = field(default_factory=dict)
    report: Callable[[int, int], None] = lambda _done, _total: None
    note: Callable[[str], None] = lambda _message: None

    def require_digest(self, name: str, *, promised: str, arrived: str) -> None:
        """Delete everything fetched unless the digest of a file is the promised one.

        Nothing can be kept: appending cannot mend bytes that are wrong somewhere before the end.

        Raises:
            DigestMismatchError: the two differ.
        """
        if arrived != promised:
            self.partial.discard()
            raise DigestMismatchError(
                f"{name} of {self.name} is not what was promised: expected digest {promised}, "
                f"got {arrived}; what arrived was deleted, so trying again starts afresh"
            )


class Source(Protocol):
    """Fetches all files of one model.

    A source resumes from what `task.partial` holds, leaves there what a later try can use, and
    deletes what a later try cannot use before it raises.
    """

    def fetch(self, task: FetchTask) -> dict[str, FetchedFile]:
        """Bring every file of `task` into its partial folder.

        Raises:
            ModelUnavailableError: the files cannot be had now; the message says what was tried.
            DigestMismatchError: other bytes arrived than were promised.
            InsufficientSpaceError: the disk is full.
        """
