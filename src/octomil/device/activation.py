"""Making a release what the device runs, and telling what it really runs."""

import os
from pathlib import Path
from typing import Protocol

from octomil.device.releases import Release, damaged_part, digest_of_folder
from octomil.device.state import StateFolder
from octomil.models.partial import space_errors, sync_folder
from octomil.registry.manifest import DIGEST_PREFIX


class Activator(Protocol):
    """Puts releases to use. Whoever runs models brings one of its own."""

    def activate(self, release: Release) -> None:
        """Make a release what runs; either it does afterwards, or what ran before still does."""

    def running(self, model_id: str) -> str | None:
        """Return the digest of what really runs of a model, as found by looking; None if nothing.

        This is what the device attests, so it must not be taken from what was wanted.
        """

    def problem(self, model_id: str) -> str | None:
        """Return what is wrong with the release that runs of a model, for people; None if nothing.

        It speaks of what runs now alone, and is cheap: it is asked at every turn. While a release
        is on probation, a problem makes the agent go back to the release before.
        """

    def in_use(self) -> set[str]:
        """Return the digests of the releases that must stay, whatever is wanted.

        The slot before need not be among them: the agent keeps that itself.
        """


class LinkActivator:
    """Points a link at the release; programs that use the model open it through the link.

    Args:
        state: where the links are, `active/MODEL`.
    """

    def __init__(self, state: StateFolder) -> None:
        self._state = state

    def activate(self, release: Release) -> None:
        """Point the model's link at a release, by one rename."""
        link = self._state.link(release.model_id)
        beside = link.with_name(f".{link.name}.new")
        with space_errors(self._state.path):
            beside.unlink(missing_ok=True)
            beside.symlink_to(Path(os.path.relpath(release.folder, link.parent)))
            beside.replace(link)
            sync_folder(link.parent)

    def running(self, model_id: str) -> str | None:
        """Return the digest of the release that the link leads to, if all its bytes are right."""
        link = self._state.link(model_id)
        if not link.is_dir() or damaged_part(link) is not None:
            return None
        return digest_of_folder(link)

    def problem(self, model_id: str) -> str | None:
        """Return None: what programs do with a release is not heard here."""
        return None

    def in_use(self) -> set[str]:
        """Return the digests of the releases that links lead to."""
        return {DIGEST_PREFIX + digits for digits in self._state.active_releases()}
