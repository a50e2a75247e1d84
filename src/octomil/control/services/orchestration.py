"""What happens to rollouts by themselves: seen, decided and stored; any replica may do it."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final

from octomil.control.ports import Clock, Store
from octomil.control.records import Rollout
from octomil.control.services.last_looks import LastLook, LastLooks
from octomil.control.services.paused_looks import PausedLooks, seen_of
from octomil.control.services.rollout_changes import take
from octomil.rollouts.device_states import RUNS_IT, let_go, overdue
from octomil.rollouts.endings import silent_since
from octomil.rollouts.findings import Judgement
from octomil.rollouts.states import RolloutState, Transition

STEERED_S: Final = 1.0
"""Seconds between two looks at all rollouts."""

_SILENT_AT_ONCE: Final = 500
_FILES: Final = "a look at the version's files"


class Orchestrator:
    """Takes the steps that the gates let a rollout take, and rolls it back on a breach.

    Nothing that it decides by is kept between two calls; what was waited for is, to be shown. Of
    replicas that decide at the same moment, one stores its transition; the others' start from a
    revision that is gone.

    Args:
        store: where the rollouts are.
        clock: tells the time.
    """

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._paused = PausedLooks()
        self.last_looks = LastLooks()

    def steered(self) -> Sequence[Rollout]:
        """Return the rollouts of all organisations that something may still come of."""
        with self._store.system_snapshot() as tx:
            found = tx.offers.steered()
        under_way = {each.id for each in found}
        self._paused.forget_all_but(under_way)
        self.last_looks.forget_all_but(under_way)
        return found

    def look(self, rollout: Rollout) -> Transition | None:
        """Return what a rollout does next; None if it waits.

        The gates of a paused one are asked only where they may say something new.
        """
        from octomil.control.services.observations import observed
        from octomil.rollouts.controller import decide  # takes numpy, 0.1 s to import

        with self._store.snapshot(rollout.organisation) as tx:
            now = self._clock()
            present = tx.rollouts.get(rollout.model_id, rollout.id)
            if present is None or not present.state.is_under_way:
                return None
            is_paused = present.state is RolloutState.PAUSED
            seen = seen_of(tx, present, now) if is_paused else None
            if seen is not None and not self._paused.is_due(seen):
                return None
            decided = decide(present.plan, present.progress, observed(tx, present, now), now)
        if isinstance(decided, Transition):
            if decided.offers_to_more:
                self._note(present, _FILES, decided.judgement, now)
            return decided
        self._note(present, decided.reason, decided.judgement, now, decided.until)
        if seen is not None:
            self._paused.note(seen)
        return None

    def _note(
        self,
        rollout: Rollout,
        waits_for: str,
        judgement: Judgement | None,
        now: datetime,
        next_at: datetime | None = None,
    ) -> None:
        look = LastLook(
            revision=rollout.progress.revision,
            waits_for=waits_for,
            next_at=next_at,
            judgement=judgement,
            at=now,
        )
        self.last_looks.note(rollout, look)

    def take(self, rollout: Rollout, transition: Transition) -> bool:
        """Store a transition; tell whether it took effect."""
        with self._store.transaction(rollout.organisation) as tx:
            return take(tx, rollout, transition) is not None

    def has_silent(self, rollout: Rollout) -> bool:
        """Tell whether devices fell silent after they took a rollout's version."""
        with self._store.snapshot(rollout.organisation) as tx:
            return bool(tx.rollout_devices.silent(rollout.id, self._latest(rollout), limit=1))

    def give_up_on_silent(self, rollout: Rollout) -> int:
        """Note that devices took too long to say that they are healthy; return how many, of some.

        Of devices that have moved meanwhile nothing is noted: they are read again. Those that a
        smaller share took the version from are let go: they were told to run another one.
        """
        latest, now = self._latest(rollout), self._clock()
        limit_s = (now - latest).total_seconds()
        limits_s = dict.fromkeys(RUNS_IT, limit_s)
        with self._store.transaction(rollout.organisation) as tx:
            present = tx.rollouts.get(rollout.model_id, rollout.id) or rollout
            silent = tx.rollout_devices.silent(rollout.id, latest, limit=_SILENT_AT_ONCE)
            given_up = []
            for each in silent:
                if present.offers(each.device_id):
                    progress = overdue(each.progress, limits_s, now)
                else:
                    progress = let_go(each.progress, now)
                given_up.append(replace(each, progress=progress))
            tx.rollout_devices.put(*given_up)
        return len(silent)

    def _latest(self, rollout: Rollout) -> datetime:
        return silent_since(rollout.plan.health_window_s, self._clock())
