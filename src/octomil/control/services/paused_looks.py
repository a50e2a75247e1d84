"""When the gates of a paused rollout are asked again: seldom, where no device says anything new."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from octomil.control.ports import Transaction
from octomil.control.records import Rollout
from octomil.rollouts.device_states import DeviceProgress

ASKED_AGAIN: Final = timedelta(minutes=1)
"""After so long the gates are asked in any case: time passes, and other devices report, too."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What a look at a paused rollout begins with; it costs no more than those that took part.

    Attributes:
        devices: where those stand that took its version, and how many each time.
        at: when.
    """

    rollout_id: str
    revision: int
    devices: frozenset[tuple[DeviceProgress, int]]
    at: datetime


class PausedLooks:
    """What was seen of paused rollouts when their gates let them be the last time.

    Only a breach ends a pause by itself, and the whole fleet is read to tell one. What is kept here
    saves work, and nothing is lost with it.
    """

    def __init__(self) -> None:
        self._last: dict[str, Seen] = {}

    def is_due(self, seen: Seen) -> bool:
        """Tell whether the gates may say something else than they did the last time."""
        last = self._last.get(seen.rollout_id)
        if last is None or (last.revision, last.devices) != (seen.revision, seen.devices):
            return True
        return not timedelta(0) <= seen.at - last.at < ASKED_AGAIN

    def note(self, seen: Seen) -> None:
        """Remember what the gates let be."""
        self._last[seen.rollout_id] = seen

    def forget_all_but(self, rollout_ids: Collection[str]) -> None:
        """Remember nothing of rollouts that are over."""
        for id_ in list(self._last):  # a copy: another thread may note something meanwhile
            if id_ not in rollout_ids:
                self._last.pop(id_, None)


def seen_of(tx: Transaction, rollout: Rollout, now: datetime) -> Seen:
    """Look at those who took a rollout's version since its step began."""
    began_at = rollout.progress.began_at
    devices = () if began_at is None else tx.rollout_devices.tally(rollout.id, began_at)
    return Seen(rollout.id, rollout.progress.revision, frozenset(devices), now)
