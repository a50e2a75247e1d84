"""Whether a version's files are kept: asked before a wave sends more devices for them."""

import logging
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from octomil.control.ports import BlobStore, Clock, Store
from octomil.control.records import Rollout, VersionFile
from octomil.control.services.kept_files import lost_of, told_of_lost
from octomil.control.services.lookup import require_version
from octomil.errors import ServiceUnavailableError
from octomil.rollouts import commands
from octomil.rollouts.states import CONTROLLER, Transition

ASKED_AGAIN: Final = timedelta(minutes=1)
"""So long the files of a rollout are left alone that could not be asked for, or were missing."""

TOLD_AGAIN: Final = timedelta(hours=1)
"""So often it is logged that a wave waits."""

_log = logging.getLogger("octomil.control")


@dataclass(frozen=True, slots=True)
class _Doubt:
    """What the last look at a rollout's files found, if they were not all there.

    Attributes:
        is_missing: whether a file was missing or cut short; else it could not be asked for.
        looked_at: when.
        told_at: when it was logged last.
    """

    is_missing: bool
    looked_at: datetime
    told_at: datetime


@dataclass(frozen=True, slots=True)
class StoreAnswer:
    """What the blob store says of the files that a wave sends devices for.

    Attributes:
        lost: what people are told of those that are lost; empty if all are kept.
    """

    lost: str = ""

    def following(self, wave: Transition) -> Transition | None:
        """Return the wave if its files are kept, and the rollout's failure if one is lost.

        None if the rollout has failed already.
        """
        if not self.lost:
            return wave
        return commands.fail(wave.before, now=wave.at, actor=CONTROLLER, reason=self.lost)


class WaveFiles:
    """Ends a rollout whose files are lost: no device that it sends for them could take them.

    They are lost if two looks in a row miss one, since a folder that is not mounted for a moment
    looks the same, and a rollout that failed stays so.

    Args:
        store: where it is noted which files a version has.
        blobs: where they are.
        clock: tells the time.
    """

    def __init__(self, store: Store, blobs: BlobStore, clock: Clock) -> None:
        self._store = store
        self._blobs = blobs
        self._clock = clock
        self._doubts: dict[tuple[str, str], _Doubt] = {}
        self._is_unanswered = False

    def begin(self, rollouts: Collection[Rollout]) -> Sequence[Rollout]:
        """Begin a run over the rollouts under way; return them as they are to be looked at.

        What was found of others is forgotten. Those in doubt come last: one whose files cannot be
        asked for keeps none of the others from being looked at.
        """
        present = {_key(each) for each in rollouts}
        self._doubts = {key: each for key, each in self._doubts.items() if key in present}
        self._is_unanswered = False
        return sorted(rollouts, key=lambda each: _key(each) in self._doubts)

    def needed(self, rollout: Rollout) -> Sequence[VersionFile]:
        """Return the files that devices are sent for.

        Raises:
            NotFoundError: the version was removed.
        """
        with self._store.snapshot(rollout.organisation) as tx:
            return require_version(tx, rollout.model_id, rollout.number).files

    def ask(self, rollout: Rollout, files: Sequence[VersionFile]) -> StoreAnswer | None:
        """Return whether a rollout's files are kept or lost.

        None while nobody can tell: the wave waits, and the next call a minute later looks again.
        A store that is down may take its time to say so: for the files of the other rollouts it is
        not asked before the next run.
        """
        key, now = _key(rollout), self._clock()
        doubt = self._doubts.get(key)
        if doubt is not None and timedelta(0) <= now - doubt.looked_at < ASKED_AGAIN:
            return None
        if self._is_unanswered:
            return None
        try:
            lost = lost_of(self._blobs, files)
        except (OSError, ServiceUnavailableError) as error:
            self._is_unanswered = True
            self._doubt(rollout, now, f"its files cannot be asked for: {error}", is_missing=False)
            return None
        if not lost:
            self._doubts.pop(key, None)
            return StoreAnswer()
        reason = told_of_lost(rollout.number, lost)
        if doubt is None or not doubt.is_missing or now < doubt.looked_at:
            self._doubt(rollout, now, f"it fails unless that changes: {reason}", is_missing=True)
            return None
        return StoreAnswer(lost=reason)

    def _doubt(self, rollout: Rollout, now: datetime, why: str, *, is_missing: bool) -> None:
        """Note that a wave waits, and log it where that is news."""
        before = self._doubts.get(_key(rollout))
        told_at = None
        if before is not None and before.is_missing == is_missing:
            told_at = before.told_at
        if told_at is None or not timedelta(0) <= now - told_at < TOLD_AGAIN:
            _log.warning("the rollout %s waits with its next wave: %s", rollout.id, why)
            told_at = now
        self._doubts[_key(rollout)] = _Doubt(is_missing, now, told_at)


def _key(rollout: Rollout) -> tuple[str, str]:
    return rollout.organisation, rollout.id
