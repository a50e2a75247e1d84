"""What rollouts wait for, as this replica saw it when it looked at them last."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from octomil.control.records import Rollout
from octomil.rollouts.findings import Judgement


@dataclass(frozen=True, slots=True, kw_only=True)
class LastLook:
    """What a rollout waited for when it was looked at.

    Attributes:
        revision: of the rollout that was looked at.
        waits_for: in words.
        next_at: when time alone may change that; None if only reports or people can.
        judgement: what the gates said, if they were asked.
        at: when.
    """

    revision: int
    waits_for: str
    next_at: datetime | None
    judgement: Judgement | None
    at: datetime


class LastLooks:
    """The last look at each rollout under way.

    Every replica looks at every rollout every second or so, and the fleet would have to be read to
    know more: so the last look is kept in memory, and is told only of the revision it was made of.
    """

    def __init__(self) -> None:
        self._last: dict[str, LastLook] = {}

    def note(self, rollout: Rollout, look: LastLook) -> None:
        """Remember a look."""
        self._last[rollout.id] = look

    def of(self, rollout: Rollout) -> LastLook | None:
        """Return the last look at a rollout; None if it changed since, or was not looked at."""
        last = self._last.get(rollout.id)
        is_of_it = last is not None and last.revision == rollout.progress.revision
        return last if is_of_it else None

    def forget_all_but(self, rollout_ids: Collection[str]) -> None:
        """Remember nothing of rollouts that are over."""
        for id_ in list(self._last):  # a copy: another thread may note something meanwhile
            if id_ not in rollout_ids:
                self._last.pop(id_, None)
