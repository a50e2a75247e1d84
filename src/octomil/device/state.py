"""The folder that a device keeps everything in: who it is, what it has, what it runs.

```
lock                    held by the agent that uses the folder
identity.json           who the device is, and its tokens
keys.json               the keys that manifests and assignments must be signed with
assignments.json        of each model, the last assignment that was taken: number and digest
slots.json              of each model, what ran before, and what is on probation
routing.spool           what a serving node did and could not tell yet
incoming/DIGEST/        a release on its way
releases/DIGEST/        a whole release: manifest.json and one file for each format
active/MODEL            a link to the release that runs
```

Everything comes to its place by one rename, so that the folder is whole whenever the power goes.
"""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Self
from urllib.parse import quote, unquote

from filelock import FileLock, Timeout

from octomil.errors import DataFolderError, OctomilError
from octomil.models.partial import read_json, space_errors, sync_folder, write_json


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Who a device is to its control plane.

    Attributes:
        api_base: the control plane's.
        expires_at: when the access token does, by this machine's clock.
    """

    api_base: str
    device_identifier: str
    device_id: str
    access_token: str
    refresh_token: str
    expires_at: datetime

    @classmethod
    def read(cls, path: Path) -> Self | None:
        """Return what was kept at `path`; None if there is nothing, or nothing usable."""
        kept = read_json(path)
        try:
            return cls(**kept | {"expires_at": datetime.fromisoformat(kept["expires_at"])})
        except (KeyError, TypeError, ValueError):
            return None

    def write(self, path: Path) -> None:
        """Keep it at `path`, durably."""
        write_json(path, asdict(self) | {"expires_at": self.expires_at.isoformat()})


class StateFolder:
    """Where things are in the folder."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.keys = path / "keys.json"
        self.assignments = path / "assignments.json"
        self.slots = path / "slots.json"
        self.routing_spool = path / "routing.spool"
        self.releases = path / "releases"
        self.active = path / "active"
        self._identity = path / "identity.json"
        self._incoming = path / "incoming"

    @property
    def identity(self) -> Identity | None:
        """Who the device is; None before it was told."""
        return Identity.read(self._identity)

    def keep_identity(self, identity: Identity) -> None:
        """Remember who the device is, through a loss of power."""
        with space_errors(self.path):
            identity.write(self._identity)
            sync_folder(self.path)

    def incoming(self, digest: str) -> Path:
        """Return the folder that a release grows in."""
        return self._incoming / digest

    def link(self, model_id: str) -> Path:
        """Return the link to what a model's release is; never anything outside of its folder."""
        return self.active / quote(model_id, safe="").replace(".", "%2E")

    def links(self) -> Iterator[tuple[str, Path]]:
        """Yield the models that have a link, by their ids, and the link of each."""
        for link in self.active.iterdir():
            if not link.name.startswith("."):  # one that was never put in its place
                yield unquote(link.name), link

    def install(self, digest: str) -> Path:
        """Move a release that has come in whole to where releases are."""
        target = self.releases / digest
        coming = self.incoming(digest)
        sync_folder(coming)
        if target.exists():  # damaged, or it would not have been fetched again
            shutil.rmtree(target)
        coming.rename(target)
        sync_folder(self.releases)
        return target

    def active_releases(self) -> set[str]:
        """Return the digests of the releases that links lead to, by their digits alone."""
        folders = {link.resolve() for link in self.active.iterdir()}
        return {each.name for each in folders if each.parent == self.releases.resolve()}

    def remove(self, digest: str) -> None:
        """Delete a release, if it is here."""
        folder = self.releases / digest
        if folder.exists():
            shutil.rmtree(folder)

    def remove_all_but(self, digests: set[str]) -> None:
        """Delete releases, whole or on their way, that nobody needs any more; no strange files."""
        for folder in (self.releases, self._incoming):
            for release in folder.iterdir():
                if release.name not in digests and release.is_dir() and not release.is_symlink():
                    shutil.rmtree(release)


@contextmanager
def open_state_folder(path: Path) -> Iterator[StateFolder]:
    """Make the folder if need be, and keep other agents out of it until the block ends.

    Raises:
        DataFolderError: another agent uses it, or it cannot be made, read or written, in the block
            neither.
    """
    path = path.absolute()
    try:
        for folder in (path, path / "releases", path / "active", path / "incoming"):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with FileLock(path / "lock", timeout=0, mode=0o600):
            yield StateFolder(path)
    except Timeout:
        raise DataFolderError(
            f"{path} is used by another `octomil device run`; stop that one, or give this one a "
            "folder of its own with --state-dir"
        ) from None
    except OctomilError:  # some are errors of the system, too
        raise
    except OSError as error:
        raise DataFolderError(f"{path} cannot be used: {error}") from error
