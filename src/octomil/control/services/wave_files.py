"""Whether a version's files are kept: asked before a wave sends more devices for them."""

import logging
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from octomil.control.ports import BlobStore, Clock, Store
from octomil.control.records import Rollout, VersionFile
from octomil.control.services.lookup import require_version
from octomil.errors import ServiceUnavailableError
from octomil.registry.manifest import DIGEST_PREFIX
from octomil.rollouts import commands
from octomil.rollouts.states import CONTROLLER, Transition

ASKED_AGAIN: Final = timedelta(minutes=1)
"""So long a blob store that did not answer is left alone; until it answers, waves wait."""

_log = logging.getLogger("octomil.control")


class WaveFiles:
    """Ends a rollout whose files are lost: no device that it sends for them could take them.

    Args:
        store: where it is noted which files a version has.
        blobs: where they are.
        clock: tells the time.
    """

    def __init__(self, store: Store, blobs: BlobStore, clock: Clock) -> None:
        self._store = store
        self._blobs = blobs
        self._clock = clock
        self._unanswered_at: datetime | None = None

    def needed(self, rollout: Rollout) -> Sequence[VersionFile]:
        """Return the files that devices are sent for.

        Raises:
            NotFoundError: the version was removed.
        """
        with self._store.snapshot(rollout.organisation) as tx:
            return require_version(tx, rollout.model_id, rollout.number).files

    def following(
        self, rollout: Rollout, wave: Transition, files: Sequence[VersionFile]
    ) -> Transition | None:
        """Return the wave if its files are kept, and the rollout's failure if one is lost.

        None if nobody can tell: the blob store does not answer, and the wave waits.
        """
        lost = self._lost(files)
        if lost is None:
            return None
        if not lost:
            return wave
        return commands.fail(
            wave.before, now=wave.at, actor=CONTROLLER, reason=_reason(rollout, lost)
        )

    def _lost(self, files: Sequence[VersionFile]) -> Sequence[VersionFile] | None:
        """Return those of some files that are missing or cut short; None if nobody can tell."""
        now, unanswered_at = self._clock(), self._unanswered_at
        if unanswered_at is not None and timedelta(0) <= now - unanswered_at < ASKED_AGAIN:
            return None
        try:
            lost = [each for each in files if self._blobs.size(each.digest) != each.size_bytes]
        except (OSError, ServiceUnavailableError) as error:
            self._unanswered_at = now
            if unanswered_at is None:  # else it was told already
                _log.warning("waves of rollouts wait, since no file can be asked for: %s", error)
            return None
        self._unanswered_at = None
        return lost


def _reason(rollout: Rollout, lost: Sequence[VersionFile]) -> str:
    file, more = lost[0], len(lost) - 1
    others = f" ({more} more besides)" if more else ""
    return (
        f"the file {file.name!r} ({DIGEST_PREFIX}{file.digest}) of the version {rollout.number} is "
        f"missing or cut short in the blob store{others}; look for others with `octomil fsck`, "
        "upload the same content again as a new version, and begin another rollout"
    )
